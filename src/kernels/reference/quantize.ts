/**
 * References of the kernels that quantize rows, normalise, activate or rotate.
 * @module
 */
import {
  activationOffset,
  paddedK,
  roundUp,
  type RowBlock,
} from "../layout.ts";
import {
  type activation_f32,
  type activation_f32_s8,
  type activation_hadamard_f32_s8,
  ACTIVATIONS,
  type hadamard_f32,
  type hadamard_f32_s8,
  type quantize_f32_s8,
  type rmsnorm_f32,
  type rmsnorm_f32_s8,
} from "../signatures/quantize.ts";
import { exp2_32, rne8, type Views } from "./views.ts";
import type { Reference } from "./views.ts";

const f = Math.fround;

/** Row `r` of f32 memory, copied. */
function loadRow(v: Views, x: number, ld: number, r: number, k: number) {
  const at = (x >> 2) + r * ld;
  return v.f32.slice(at, at + k);
}

/** Operands of the quantized output. */
interface Target {
  readonly q: number;
  readonly sums: number;
  readonly k: number;
  readonly rows: readonly [number, number];
  readonly rowBlock: number;
  readonly outlier?: number;
}

/** Quantizes rows one by one and writes their values and sums. */
function quantizeRows(
  v: Views,
  { q, sums, k, rows: [first, end], rowBlock, outlier = 0 }: Target,
  inv: number,
  rowOf: (r: number) => Float32Array,
): void {
  const kp = paddedK(k);
  for (let r = first; r < roundUp(end, rowBlock); r++) {
    const row = r < end ? rowOf(r) : new Float32Array(k);
    let sum = 0;
    if (outlier && r < end) {
      v.f32[(outlier >> 2) + r] = row[0];
      row[0] = 0;
    }
    for (let j = 0; j < kp; j++) {
      const value = j < k ? rne8(f(row[j] * inv)) : 0;
      v.i8[q + activationOffset(r, j, kp, rowBlock as RowBlock)] = value;
      sum += value;
    }
    v.i32[(sums >> 2) + r] = sum;
  }
}

/** Sum of squares in the kernels' order: 16 running lanes, then a tree. */
export function sumSquares(x: Float32Array): number {
  const lanes = new Float32Array(16);
  x.forEach((value, j) => lanes[j & 15] += f(value * value));
  const [a, b, c, d] = [0, 1, 2, 3].map((i) =>
    f(f(lanes[i] + lanes[4 + i]) + f(lanes[8 + i] + lanes[12 + i]))
  );
  return f(f(a + b) + f(c + d));
}

function inverseRms(row: Float32Array, eps: number): number {
  const mean = f(f(sumSquares(row) / row.length) + f(eps));
  return f(1 / f(Math.sqrt(mean)));
}

/** q = round(x·inv). */
export const quantize: Reference<typeof quantize_f32_s8> = (v) => (c) =>
  quantizeRows(v, c, f(c.inv), (r) => loadRow(v, c.x, c.ldx, r, c.k));

/** Reference of `rmsnorm_f32_s8`. */
export const rmsnormS8: Reference<typeof rmsnorm_f32_s8> = (v) => (c) =>
  quantizeRows(v, c, 1, (r) => {
    const row = loadRow(v, c.x, c.ldx, r, c.k);
    const s = f(inverseRms(row, c.eps) * f(c.inv));
    return row.map((y) => f(y * s));
  });

/** Reference of `rmsnorm_f32`. */
export const rmsnorm: Reference<typeof rmsnorm_f32> =
  (v) => ({ x, ldx, eps, gain, y, ldy, k, rows: [first, end] }) => {
    for (let r = first; r < end; r++) {
      const row = loadRow(v, x, ldx, r, k), s = inverseRms(row, eps);
      for (let j = 0; j < k; j++) {
        const n = f(row[j] * s);
        v.f32[(y >> 2) + r * ldy + j] = gain ? n * v.f32[(gain >> 2) + j] : n;
      }
    }
  };

/** Shared operands of the Hadamard transforms. */
interface Transform {
  readonly signs: number;
  readonly matrix: number;
  readonly order: number;
  readonly outer: number;
}

/** Unnormalised (N ⊗ M ⊗ S)·diag(signs)·x of one row. */
export function rotate(
  v: Views,
  row: Float32Array,
  { signs, matrix, order, outer }: Transform,
): Float32Array {
  const k = row.length, block = k / outer, width = block / order;
  if (signs) { for (let j = 0; j < k; j++) row[j] *= v.f32[(signs >> 2) + j]; }
  for (let h = 1; h < width; h *= 2) {
    for (let i = 0; i < k; i++) {
      if (i & h) continue; // width is a power of two, so blocks never cross
      const p = row[i], q = row[i + h];
      row[i] = p + q;
      row[i + h] = p - q;
    }
  }
  if (order === 1) return row;
  const out = new Float32Array(k);
  for (let from = 0; from < k; from += block) {
    const part = row.subarray(from, from + block);
    out.set(dense(v, part, matrix, order), from);
  }
  return outer === 1 ? out : dense(v, out, matrix + order * order * 4, outer);
}

/** y[a, b] = Σ_c M[a, c]·x[c, b], x as `order` rows. */
function dense(
  v: Views,
  x: Float32Array,
  matrix: number,
  order: number,
): Float32Array {
  const width = x.length / order, out = new Float32Array(x.length);
  for (let a = 0; a < order; a++) {
    for (let b = 0; b < width; b++) {
      let sum = 0;
      for (let c = 0; c < order; c++) {
        const minus =
          v.i32[(matrix >> 2) + ((a >> 2) * order + c) * 4 + (a & 3)];
        const term = minus ? -x[c * width + b] : x[c * width + b];
        sum = c === 0 ? term : f(sum + term);
      }
      out[a * width + b] = sum;
    }
  }
  return out;
}

/** Reference of `hadamard_f32`. */
export const hadamard: Reference<typeof hadamard_f32> = (v) => (c) => {
  for (let r = c.rows[0]; r < c.rows[1]; r++) {
    const h = rotate(v, loadRow(v, c.x, c.ldx, r, c.k), c);
    v.f32.set(h.map((y) => f(y * f(c.scale))), (c.x >> 2) + r * c.ldx);
  }
};

/** Reference of `hadamard_f32_s8`. */
export const hadamardS8: Reference<typeof hadamard_f32_s8> = (v) => (c) =>
  quantizeRows(
    v,
    c,
    f(c.inv),
    (r) => rotate(v, loadRow(v, c.x, c.ldx, r, c.k), c),
  );

const halfRoot = f(0.7071067811865476);
const exponents = {
  silu: f(-1.4426950408889634), //       −log2 e
  gelu_tanh: f(-2.302208198144325), //   −2√(2/π)·log2 e
  gelu: f(-0.7213475204444817), //       −½·log2 e
  quick_gelu: f(-2.455466959593016), //  −1.702·log2 e
};
const erf = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]
  .map(f);

/** x / (1 + 2^z), the form that all but the erf form share. */
function over(x: number, z: number): number {
  return f(x / f(1 + exp2_32(z)));
}

/** An activation function with the kernels' float32 operations. */
export function activate(fn: number, x: number): number {
  if (fn === ACTIVATIONS.relu6) return Math.min(6, Math.max(0, x));
  if (fn === ACTIVATIONS.silu) return over(x, f(x * exponents.silu));
  if (fn === ACTIVATIONS.quick_gelu) {
    return over(x, f(x * exponents.quick_gelu));
  }
  if (fn === ACTIVATIONS.gelu_tanh) {
    const cube = f(f(x * x) * x);
    return over(x, f(f(f(cube * f(0.044715)) + x) * exponents.gelu_tanh));
  }
  const z = Math.abs(f(x * halfRoot));
  const t = f(1 / f(1 + f(z * f(0.3275911))));
  let p = erf[0];
  for (let i = 1; i < 5; i++) p = f(f(p * t) + erf[i]);
  const e = exp2_32(f(f(x * x) * exponents.gelu));
  const tail = f(f(f(p * t) * e) * 0.5); // Φ(−|x|)
  return f(x * (x < 0 ? tail : f(1 - tail)));
}

/** Inputs of an activation. */
interface Gated {
  readonly fn: number;
  readonly g: number;
  readonly u: number;
  readonly ldx: number;
  readonly k: number;
}

/** Rows of fn(g)·u. */
function activated(v: Views, { fn, g, u, ldx, k }: Gated) {
  return (r: number) => {
    const row = loadRow(v, g, ldx, r, k);
    const gate = u ? loadRow(v, u, ldx, r, k) : row;
    return row.map((x, j) => {
      const y = activate(fn, x);
      return u ? f(y * gate[j]) : y;
    });
  };
}

/** Reference of `activation_f32`. */
export const activation: Reference<typeof activation_f32> = (v) => (c) => {
  const rowOf = activated(v, c);
  for (let r = c.rows[0]; r < c.rows[1]; r++) {
    v.f32.set(rowOf(r), (c.y >> 2) + r * c.ldy);
  }
};

/** Reference of `activation_f32_s8`. */
export const activationS8: Reference<typeof activation_f32_s8> = (v) => (c) =>
  quantizeRows(v, c, f(c.inv), activated(v, c));

/** Reference of `activation_hadamard_f32_s8`. */
export const activationHadamardS8: Reference<
  typeof activation_hadamard_f32_s8
> = (v) => (c) => {
  const rowOf = activated(v, c);
  quantizeRows(v, c, f(c.inv), (r) => rotate(v, rowOf(r), c));
};
