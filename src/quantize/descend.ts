/**
 * What GPTQ leaves over: it goes through the columns once and never comes back.
 * Here each code is chosen again, all others given, and each row's scale after
 * them, as often as asked (coordinate descent as in QuantEase, arXiv 2309.01885;
 * the scale of least error has a closed form). The output's error on the samples,
 * (w − v)·H·(w − v)ᵀ with v what the codes stand for, can only fall.
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import { cornerOf } from "../tensor/linalg.ts";
import { roundEven } from "../tensor/round.ts";
import type { IntegerWeight } from "./gptq.ts";
import { stepOf } from "./groups.ts";

/** Columns chosen again before the errors of the others are brought up to date in one product. */
const BLOCK = 256;

/**
 * Codes and scales with less output error than those of `start`.
 * @param w [n, k]
 * @param hessian [k, k], damped
 * @param rounds times that scales and then codes are chosen again
 */
export function descend(
  w: Float64Array,
  start: IntegerWeight,
  hessian: Floats,
  rounds: number,
  { matmul, zeros }: Pick<Executor, "matmul" | "zeros">,
): IntegerWeight {
  const { n, k } = start, codes = start.codes.slice();
  const weight = { ...start, codes, scale: start.scale.slice() };
  const original = zeros(n * k), left = zeros(n * k); // left: w − v
  original.set(w);
  const whole = matmul(original, n, k, hessian, k); // w·H
  measure(weight, w, left);
  const pull = matmul(left, n, k, hessian, k); // (w − v)·H
  for (let round = 0; round < rounds; round++) {
    refit(weight, w, whole, pull, left);
    for (let from = 0; from < k; from += BLOCK) {
      const to = Math.min(k, from + BLOCK);
      const moved = again(weight, w, left, pull, hessian, from, to, zeros);
      if (!moved) continue;
      const links = zeros(k * (to - from)); // H[:, block]
      for (let j = 0; j < k; j++) {
        links.set(hessian.subarray(j * k + from, j * k + to), j * (to - from));
      }
      const change = matmul(moved, n, to - from, links, k);
      for (let i = 0; i < change.length; i++) pull[i] += change[i];
    }
  }
  refit(weight, w, whole, pull, left);
  return weight;
}

/** left = w − v. */
function measure(weight: IntegerWeight, w: Float64Array, left: Floats): void {
  const { n, k, codes } = weight, step = stepOf(weight, k);
  for (let r = 0; r < n; r++) {
    for (let c = 0, i = r * k; c < k; c++, i++) {
      left[i] = w[i] - codes[i] * step(r, c);
    }
  }
}

/** Each row's scale times w·H·vᵀ / v·H·vᵀ, the factor of least error; `left` and `pull` follow. */
function refit(
  weight: IntegerWeight,
  w: Float64Array,
  whole: Floats,
  pull: Floats,
  left: Floats,
): void {
  const { n, k, scale } = weight;
  for (let r = 0; r < n; r++) {
    let withW = 0, withV = 0;
    for (let i = r * k; i < (r + 1) * k; i++) {
      const vh = whole[i] - pull[i];
      withW += vh * w[i];
      withV += vh * (w[i] - left[i]);
    }
    if (!(withW > 0 && withV > 0)) continue; // a row of zeros
    const before = scale[r];
    scale[r] *= withW / withV;
    const factor = scale[r] / before;
    for (let i = r * k; i < (r + 1) * k; i++) {
      pull[i] = whole[i] - factor * (whole[i] - pull[i]);
      left[i] = w[i] - factor * (w[i] - left[i]);
    }
  }
}

/** Chooses the codes of columns [from, to) again; what w − v changed there, [n, to − from], if it did. */
function again(
  weight: IntegerWeight,
  w: Float64Array,
  left: Floats,
  pull: Floats,
  hessian: Floats,
  from: number,
  to: number,
  zeros: Executor["zeros"],
): Floats | undefined {
  const { n, k, bits, codes } = weight, step = stepOf(weight, k);
  const top = 2 ** (bits - 1) - 1, bottom = -top - 1, size = to - from;
  const corner = cornerOf(hessian, k, from, to);
  const row = new Float64Array(size);
  const moved = zeros(n * size);
  let any = false;
  for (let r = 0; r < n; r++) {
    const at = r * k + from;
    for (let i = 0; i < size; i++) row[i] = pull[at + i];
    for (let i = 0; i < size; i++) {
      const s = step(r, from + i), here = left[at + i];
      // Without this column's own share, the error is least at w − v = best.
      const best = here - row[i] / corner[i * size + i];
      const q = Math.min(
        top,
        Math.max(bottom, roundEven((w[at + i] - best) / s)),
      );
      if (q === codes[at + i]) continue;
      codes[at + i] = q;
      left[at + i] = w[at + i] - q * s;
      const change = moved[r * size + i] = left[at + i] - here;
      for (let j = 0; j < size; j++) row[j] += change * corner[i * size + j];
      any = true;
    }
  }
  return any ? moved : undefined;
}
