import { assert } from "@std/assert";
import { normal, random } from "../tensor/random.ts";
import { rotate, rotation } from "../tensor/rotation.ts";
import { quantizeInt8 } from "../tensor/round.ts";
import { dequantize, roundToNearest } from "./gptq.ts";
import { channelZeroRatio } from "./suppress.ts";

const N = 32, K = 256, ROWS = 64;

/** Signal to noise in dB of a product whose rows of W have a mean, under plain W4 and static A8. */
function sqnr(dc: number, kind: "none" | "plain" | "signs" | "split"): number {
  const next = random(11), w = new Float64Array(N * K);
  for (let i = 0; i < w.length; i++) w[i] = normal(next) + dc;
  const x = Float64Array.from( // positive mean, as behind a GELU
    { length: ROWS * K },
    () => Math.max(normal(next), -0.1),
  );
  const exact = product(x, w);
  const wq = w.slice(), xq = x.slice();
  if (kind !== "none") {
    const r = rotation(K, kind === "signs" ? 5 : 0);
    rotate(wq, r), rotate(xq, r);
  }
  const skip = kind === "split" ? 1 : 0;
  const body = wq.map((v, i) => i % K < skip ? 0 : v);
  const rounded = dequantize(roundToNearest(body, N, K, 4));
  let most = 0;
  for (let i = 0; i < xq.length; i++) {
    if (i % K >= skip) most = Math.max(most, Math.abs(xq[i]));
  }
  const got = product(
    xq.map((v, i) =>
      i % K < skip ? v : quantizeInt8(v, most / 127) * most / 127
    ),
    rounded.map((v, i) => i % K < skip ? wq[i] : v),
  );
  let signal = 0, noise = 0;
  exact.forEach((v, i) => (signal += v * v, noise += (v - got[i]) ** 2));
  return 10 * Math.log10(signal / noise);
}

function product(x: Float64Array, w: Float64Array): Float64Array {
  const y = new Float64Array(ROWS * N);
  for (let r = 0; r < ROWS; r++) {
    for (let n = 0; n < N; n++) {
      for (let c = 0; c < K; c++) y[r * N + n] += x[r * K + c] * w[n * K + c];
    }
  }
  return y;
}

Deno.test("rows with a mean: splitting channel 0 beats a plain Hadamard, random signs come close", () => {
  const [plain, signs, split] = (["plain", "signs", "split"] as const)
    .map((kind) => sqnr(0.3, kind));
  assert(split > plain + 3, `${split} against ${plain}`);
  assert(signs > plain + 3, `${signs} against ${plain}`);
  assert(split > signs - 1, `${split} against ${signs}`);
});

Deno.test("the trigger fires on rows with a mean and not on centered ones", () => {
  const next = random(3);
  const ratio = (dc: number) => {
    const w = Float64Array.from({ length: N * K }, () => normal(next) + dc);
    rotate(w, rotation(K, 0));
    return channelZeroRatio(w, N, K);
  };
  assert(ratio(0.5) > 1, `${ratio(0.5)}`);
  assert(ratio(0) < 1, `${ratio(0)}`);
});
