/**
 * Rotary position embedding (Su et al. 2021), half-split pairs: channel i turns
 * with channel i + d/2 by the angle position · θ^(−2i/d).
 * @module
 */
import { pow, sincos } from "../tensor/math.ts";

/** cos and sin tables, each [positions, headDim/2], equal on every machine. */
export function ropeTables(
  theta: number,
  headDim: number,
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const half = headDim / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let i = 0; i < half; i++) {
    const frequency = pow(theta, -2 * i / headDim);
    for (let p = 0; p < positions; p++) {
      [sin[p * half + i], cos[p * half + i]] = sincos(p * frequency);
    }
  }
  return { cos, sin };
}
