/**
 * Packed layouts in WebAssembly memory, and packers in TypeScript. Model files
 * hold row-major values; these layouts belong to the kernels and may change
 * without quantizing a model again.
 *
 * ```text
 * A4  activations of several rows in blocks of 4 rows, Kp = k rounded up to 32
 *     [ceil(rows/4)][Kp/4][4 rows][4 k] int8, padding 0
 *       16 bytes:  r0k0 r0k1 r0k2 r0k3 | r1k0 … r1k3 | r2k0 … r2k3 | r3k0 … r3k3
 * A1  one row: [Kp] int8
 *
 * W4  panels of 8 columns, [N8/8][Kp/4][4 n][4 k] bytes, offset binary w + 8
 *       byte:  low nibble column n, high nibble column n + 4
 * W4G panels of W4, each with the scales of its quantization groups in front of it:
 *     [N8/8] of [k/group][8 n] u8, padded to 16, and [k/4][4 n][4 k] bytes; group a multiple of 32
 * W8  [N8/8][Kp/4][8 n][4 k] int8, signed
 * F32 [N8/8][k][8 n] float32
 * D   filters of channels, [C16/16][pairs][16 c][2 taps] int8, an odd number of pairs, padding 0
 *
 * K cache, one head after another: [cap/8][d/4][8 keys][4 d] int8  (= W8 with n = key, k = d)
 * V cache, one head after another: [d/8][cap/4][8 d][4 keys] int8  (= W8 with n = d, k = key)
 * ```
 * @module
 */

/** Largest group scale of two-level scales: −8 · 15 and 7 · 15 are int8. */
export const MOST_GROUP = 15;

/** Bits of packed weights. Files may hold 5 to 7 bits; those are packed as 8. */
export type WeightBits = 4 | 8;

/** Rows of a block of packed activations: 4 for `A4` (several rows), 1 for `A1` (one row). */
export type RowBlock = 1 | 4;

/** Bits in which weights of `bits` bits, 4 to 8, are packed. */
export const packedBits = (bits: number): WeightBits => bits === 4 ? 4 : 8;

/** `x` rounded up to a multiple of `step`. */
export function roundUp(x: number, step: number): number {
  return Math.ceil(x / step) * step;
}

/** Throws unless `value` is a positive multiple of `step`. */
function demand(task: string, name: string, value: number, step: number): void {
  if (Number.isInteger(value) && value > 0 && value % step === 0) return;
  const wish = step === 1 ? "a positive integer" : `a multiple of ${step}`;
  throw new RangeError(
    `Cannot ${task}: ${name} must be ${wish}: current value is ${value}`,
  );
}

/** Padded length of the reduction axis of integer matrices: a multiple of 32. */
export function paddedK(k: number): number {
  return roundUp(k, 32);
}

/** Byte offset of element k of a row in an A4 or A1 buffer whose rows hold `kp` values. */
export function activationOffset(
  row: number,
  k: number,
  kp: number,
  rowBlock: RowBlock,
): number {
  return rowBlock === 1
    ? row * kp + k
    : (row >> 2) * 4 * kp + (row & 3) * 4 + (k >> 2) * 16 + (k & 3);
}

/**
 * Bytes of the activation buffer for `rows` rows of k elements.
 * @throws {RangeError} where k is not a multiple of 4.
 */
export function activationBytes(
  rows: number,
  k: number,
  rowBlock: RowBlock,
): number {
  demand("place activations", "k", k, 4);
  return roundUp(rows, rowBlock) * paddedK(k);
}

/** Number of int32 row sums that go with that buffer. */
export function rowSumCount(rows: number): number {
  return roundUp(rows, 4);
}

/** Bytes of packed weights [n, k]. */
export function weightBytes(bits: WeightBits, n: number, k: number): number {
  checkPack(bits, n, k);
  return roundUp(n, 8) * paddedK(k) / (bits === 4 ? 2 : 1);
}

/** Columns of a group come in multiples of this many. */
export const GROUP_UNIT = 32;

/** Bytes of the scales in front of a panel of 4-bit weights in groups of `group` columns. */
export function scaleBytes(k: number, group: number): number {
  return roundUp(8 * k / group, 16);
}

/** Bytes of a panel of 8 rows of 4-bit weights in groups, scales included. */
export function groupedPanelBytes(k: number, group: number): number {
  return scaleBytes(k, group) + 4 * k;
}

/**
 * Bytes of packed 4-bit weights [n, k] in groups of `group` columns.
 * @throws {RangeError} where whole groups do not fill a row.
 */
export function groupedBytes(n: number, k: number, group: number): number {
  demand("pack groups", "group", group, GROUP_UNIT);
  demand("pack groups", "k", k, group);
  return roundUp(n, 8) / 8 * groupedPanelBytes(k, group);
}

/** Bytes of row-major values [n, k]: two per byte for 4 bits, else one. */
export function valueBytes(bits: WeightBits, n: number, k: number): number {
  return bits === 4 ? n * k / 2 : n * k;
}

/** Float32 elements of a packed float matrix [n, k]. */
export function weightFloats(n: number, k: number): number {
  return roundUp(n, 8) * k;
}

/** Byte offset of weight (n, k) in a packed matrix of padded length kp. */
export function weightOffset(
  bits: WeightBits,
  n: number,
  k: number,
  kp: number,
): number {
  const panel = n >> 3, c = n & 7;
  if (bits === 4) {
    return panel * 4 * kp + (k >> 2) * 16 + (c & 3) * 4 + (k & 3);
  }
  return panel * 8 * kp + (k >> 2) * 32 + c * 4 + (k & 3);
}

/** Byte offset of element d of a key within the K cache of one head. */
export function keyOffset(key: number, d: number, headDim: number): number {
  return (key >> 3) * 8 * headDim + (d >> 2) * 32 + (key & 7) * 4 + (d & 3);
}

/** Byte offset of element d of a key's value within the V cache of one head. */
export function valueOffset(key: number, d: number, capacity: number): number {
  return (d >> 3) * 8 * capacity + (key >> 2) * 32 + (d & 7) * 4 + (key & 3);
}

/**
 * Bytes of the K (or of the V) cache.
 * @throws {RangeError} where capacity or headDim is not a multiple of 8.
 */
export function cacheBytes(
  kvHeads: number,
  capacity: number,
  headDim: number,
): number {
  demand("place a cache", "capacity", capacity, 8);
  demand("place a cache", "headDim", headDim, 8);
  return kvHeads * capacity * headDim;
}

/**
 * Bytes of scratch of one thread for a product over rows of k (padded) values: a
 * whole unpacked panel, or 16 KiB of one and 4 KiB of tiles; with groups 8 KiB
 * more, for weights times their group scales.
 */
export function gemmScratchBytes(k: number, grouped = false): number {
  return Math.max((grouped ? 28 : 20) * 1024, 8 * k);
}

/** Bytes of scratch one thread needs for one row times weights in groups: 4 panels of sums, a number per group. */
export function gemvScratchBytes(k: number): number {
  return 128 + roundUp(4 * k / GROUP_UNIT, 16);
}

/** Pairs of the taps of a filter of `side` × `side`: an odd number. */
const pairsOf = (side: number): number => Math.ceil(side * side / 2) | 1;

/** Bytes of packed filters of `side` × `side` taps for c channels. */
export function filterBytes(c: number, side: number): number {
  return roundUp(c, 16) * 2 * pairsOf(side);
}

/** Byte offset of tap t of channel c in packed filters. */
export function filterOffset(c: number, t: number, side: number): number {
  return ((c >> 4) * pairsOf(side) + (t >> 1)) * 32 + (c & 15) * 2 + (t & 1);
}

/** Bytes of scratch one thread needs for a depthwise convolution: a row of zeros, and three lists of taps. */
export function depthwiseScratchBytes(c: number, side: number): number {
  return paddedK(c) + 24 * pairsOf(side);
}

/** Bytes of scratch one thread needs for a row kernel (Hadamard, activation) of length k. */
export function rowScratchBytes(k: number): number {
  demand("place scratch", "k", k, 4);
  return 8 * paddedK(k) + 256;
}

/** Bytes of scratch of one thread for attention over up to `keys` keys. */
export function attentionScratchBytes(keys: number, headDim: number): number {
  demand("place scratch", "headDim", headDim, 8);
  demand("place scratch", "keys", keys, 1);
  return roundUp(keys, 8) * (16 + 8 + 1) + headDim * 8 + 560;
}

/** Number of work items of `attention_s8`; threads take ranges of them. */
export function attentionItems(
  rows: number,
  heads: number,
  kvHeads: number,
): number {
  demand("share out attention", "heads", heads, kvHeads);
  return kvHeads * Math.ceil(rows * (heads / kvHeads) / 4);
}

/** Signed value at an index of row-major values. */
export function valueAt(
  bits: WeightBits,
  values: Uint8Array | Int8Array,
  index: number,
): number {
  if (bits !== 4) return values[index] << 24 >> 24;
  const nibble = (values[index >> 1] >> ((index & 1) * 4)) & 15;
  return nibble << 28 >> 28;
}

/**
 * Packs row-major values [n, k] into the panel layout of `bits`.
 * Padded columns and padded k hold weight 0.
 * @param values int8, or for 4 bits nibbles (element 2j in the low one, two's complement)
 * @throws {RangeError} where the sizes do not fit.
 */
export function packWeights(
  bits: WeightBits,
  values: Uint8Array | Int8Array,
  n: number,
  k: number,
): Uint8Array {
  checkPack(bits, n, k);
  if (values.length !== valueBytes(bits, n, k)) {
    throw new RangeError(
      `Cannot pack w${bits} rows: [${n}, ${k}] needs ${
        valueBytes(bits, n, k)
      } bytes of values: current length is ${values.length}`,
    );
  }
  const kp = paddedK(k), zero = bits === 8 ? 0 : 8;
  const out = new Uint8Array(weightBytes(bits, n, k));
  if (bits === 4) out.fill(0x88);
  for (let i = 0; i < n; i++) {
    const high = bits === 4 && (i & 4) !== 0;
    for (let j = 0; j < k; j++) {
      const w = valueAt(bits, values, i * k + j) + zero;
      const at = weightOffset(bits, i, j, kp);
      if (bits !== 4) out[at] = w;
      else if (high) out[at] = out[at] & 0x0f | w << 4;
      else out[at] = out[at] & 0xf0 | w;
    }
  }
  return out;
}

/** Scales of the groups of 8 rows from `row` on, [groups][8]; missing rows have 0. */
export function panelScales(
  scales: Uint8Array,
  row: number,
  groups: number,
): Uint8Array {
  const out = new Uint8Array(8 * groups);
  const rows = Math.min(8, scales.length / groups - row);
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < groups; g++) {
      out[g * 8 + r] = scales[(row + r) * groups + g];
    }
  }
  return out;
}

/**
 * Packs row-major 4-bit values [n, k] and the scales of their groups [n, k/group].
 * @throws {RangeError} where the sizes do not fit.
 */
export function packGroups(
  values: Uint8Array,
  scales: Uint8Array,
  n: number,
  k: number,
  group: number,
): Uint8Array {
  const out = new Uint8Array(groupedBytes(n, k, group));
  const packed = packWeights(4, values, n, k), panel = 4 * k;
  for (let row = 0; row < n; row += 8) {
    const at = row / 8 * groupedPanelBytes(k, group);
    out.set(panelScales(scales, row, k / group), at);
    out.set(
      packed.subarray(row / 8 * panel, (row / 8 + 1) * panel),
      at + scaleBytes(k, group),
    );
  }
  return out;
}

/** Throws where no packed layout exists for weights [n, k] of `bits` bits. */
export function checkPack(bits: number, n: number, k: number): void {
  if (bits !== 4 && bits !== 8) {
    throw new RangeError(
      `Cannot pack w${bits} rows: bits must be 4 or 8: current value is ${bits}`,
    );
  }
  demand(`pack w${bits} rows`, "n", n, 1);
  demand(`pack w${bits} rows`, "k", k, 4);
}

/** Packs row-major int8 activations [rows, k] as A4 or A1 (tests, references). */
export function packActivations(
  values: Int8Array,
  rows: number,
  k: number,
  rowBlock: RowBlock,
): Int8Array {
  const kp = paddedK(k);
  const out = new Int8Array(activationBytes(rows, k, rowBlock));
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < k; j++) {
      out[activationOffset(r, j, kp, rowBlock)] = values[r * k + j];
    }
  }
  return out;
}

/**
 * Packs a ±1 matrix [order, order] (row-major) as the sign masks the Hadamard
 * kernels read: `[order/4][order c][4 a]` int32, 0 for +1 and 2^31 for −1,
 * where output row a takes input row c. Empty for order 1.
 */
export function packHadamard(matrix: Int8Array, order: number): Int32Array {
  if (order === 1) return new Int32Array(0);
  if (order % 4 !== 0 || matrix.length !== order * order) {
    throw new RangeError(
      `Cannot pack a Hadamard matrix: the order must be 1 or a multiple of 4 and the matrix square: current order is ${order} with ${matrix.length} entries`,
    );
  }
  const out = new Int32Array(order * order);
  for (let a = 0; a < order; a++) {
    for (let c = 0; c < order; c++) {
      out[((a >> 2) * order + c) * 4 + (a & 3)] = matrix[a * order + c] < 0
        ? -0x80000000
        : 0;
    }
  }
  return out;
}

/** Packs the filters of depthwise convolutions, [c, side²] (row-major). */
export function packFilters(
  values: Int8Array,
  c: number,
  side: number,
): Int8Array {
  const out = new Int8Array(filterBytes(c, side)), taps = side * side;
  for (let i = 0; i < c; i++) {
    for (let t = 0; t < taps; t++) {
      out[filterOffset(i, t, side)] = values[i * taps + t];
    }
  }
  return out;
}

/** Packs float weights [n, k] (row-major) into the F32 panel layout. */
export function packFloats(
  w: Float32Array,
  n: number,
  k: number,
  out: Float32Array = new Float32Array(weightFloats(n, k)),
): Float32Array {
  if (n % 8 !== 0) out.fill(0, (n >> 3) * 8 * k); // missing rows
  for (let i = 0; i < n; i++) {
    const panel = (i >> 3) * 8 * k + (i & 7);
    for (let j = 0; j < k; j++) out[panel + j * 8] = w[i * k + j];
  }
  return out;
}
