/**
 * Coordinate descent after GPTQ (QuantEase, arXiv 2309.01885). GPTQ rounds each
 * column once. Here each quantized value is chosen again with all others fixed,
 * then each row's scale, which has a closed form; several rounds. The output error
 * on the samples, (w − v)·H·(w − v)ᵀ with v the dequantized weight, never grows.
 * @module
 */
import type { Executor, Floats } from "../graph/executor.ts";
import { diagonalBlock } from "../tensor/linalg.ts";
import { roundEven } from "../tensor/round.ts";
import type { IntegerWeight } from "./gptq.ts";
import { stepOf } from "./groups.ts";

/** Columns updated before their changes reach the other columns in one matmul. */
const BLOCK = 256;

/**
 * Values and scales with at most the output error of `start`.
 * @param w [n, k]
 * @param hessian [k, k], damped
 * @param rounds updates of all scales and then all values
 */
export function coordinateDescent(
  w: Float64Array,
  start: IntegerWeight,
  hessian: Floats,
  rounds: number,
  { matmul, zeros }: Pick<Executor, "matmul" | "zeros">,
): IntegerWeight {
  const { n, k } = start, values = start.values.slice();
  const weight = { ...start, values, scale: start.scale.slice() };
  const original = zeros(n * k), rest = zeros(n * k); // rest: w − v
  original.set(w);
  const wH = matmul(original, n, k, hessian, k); // w·H
  residual(weight, w, rest);
  const residualH = matmul(rest, n, k, hessian, k); // (w − v)·H
  for (let round = 0; round < rounds; round++) {
    updateScales(weight, w, wH, residualH, rest);
    for (let from = 0; from < k; from += BLOCK) {
      const to = Math.min(k, from + BLOCK);
      const moved = updateValues(
        weight,
        w,
        rest,
        residualH,
        hessian,
        from,
        to,
        zeros,
      );
      if (!moved) continue;
      const links = zeros(k * (to - from)); // H[:, block]
      for (let j = 0; j < k; j++) {
        links.set(hessian.subarray(j * k + from, j * k + to), j * (to - from));
      }
      const change = matmul(moved, n, to - from, links, k);
      for (let i = 0; i < change.length; i++) residualH[i] += change[i];
    }
  }
  updateScales(weight, w, wH, residualH, rest);
  return weight;
}

/** rest = w − v. */
function residual(weight: IntegerWeight, w: Float64Array, rest: Floats): void {
  const { n, k, values } = weight, step = stepOf(weight, k);
  for (let r = 0; r < n; r++) {
    for (let c = 0, i = r * k; c < k; c++, i++) {
      rest[i] = w[i] - values[i] * step(r, c);
    }
  }
}

/** Multiplies each row's scale by w·H·vᵀ / v·H·vᵀ, which minimises its error; updates `rest` and `residualH`. */
function updateScales(
  weight: IntegerWeight,
  w: Float64Array,
  wH: Floats,
  residualH: Floats,
  rest: Floats,
): void {
  const { n, k, scale } = weight;
  for (let r = 0; r < n; r++) {
    let withW = 0, withV = 0;
    for (let i = r * k; i < (r + 1) * k; i++) {
      const vh = wH[i] - residualH[i];
      withW += vh * w[i];
      withV += vh * (w[i] - rest[i]);
    }
    if (!(withW > 0 && withV > 0)) continue; // a row of zeros
    const before = scale[r];
    scale[r] *= withW / withV;
    const factor = scale[r] / before;
    for (let i = r * k; i < (r + 1) * k; i++) {
      residualH[i] = wH[i] - factor * (wH[i] - residualH[i]);
      rest[i] = w[i] - factor * (w[i] - rest[i]);
    }
  }
}

/** Updates the values of columns [from, to). Returns the change of w − v there, [n, to − from]; undefined where nothing changed. */
function updateValues(
  weight: IntegerWeight,
  w: Float64Array,
  rest: Floats,
  residualH: Floats,
  hessian: Floats,
  from: number,
  to: number,
  zeros: Executor["zeros"],
): Floats | undefined {
  const { n, k, bits, values } = weight, step = stepOf(weight, k);
  const top = 2 ** (bits - 1) - 1, bottom = -top - 1, size = to - from;
  const block = diagonalBlock(hessian, k, from, to);
  const row = new Float64Array(size);
  const moved = zeros(n * size);
  let any = false;
  for (let r = 0; r < n; r++) {
    const at = r * k + from;
    for (let i = 0; i < size; i++) row[i] = residualH[at + i];
    for (let i = 0; i < size; i++) {
      const s = step(r, from + i), here = rest[at + i];
      // Without this column's own share, the error is least at w − v = best.
      const best = here - row[i] / block[i * size + i];
      const q = Math.min(
        top,
        Math.max(bottom, roundEven((w[at + i] - best) / s)),
      );
      if (q === values[at + i]) continue;
      values[at + i] = q;
      rest[at + i] = w[at + i] - q * s;
      const change = moved[r * size + i] = rest[at + i] - here;
      for (let j = 0; j < size; j++) row[j] += change * block[i * size + j];
      any = true;
    }
  }
  return any ? moved : undefined;
}
