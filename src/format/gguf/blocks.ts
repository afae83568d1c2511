/**
 * Block formats of ggml: bytes of a block to float32, with the arithmetic of
 * llama.cpp (ggml/src/ggml-quants.c, `dequantize_row_*`): each product and sum is
 * rounded to float32. A block starts with, or ends in, float16 scales; its weights
 * are small integers.
 *
 * ```text
 * Q4_0   32  f16 d │ 16 bytes: low nibbles 0–15, high nibbles 16–31        w = d·(q − 8)
 * Q4_1   32  f16 d │ f16 m │ 16 bytes                                      w = d·q + m
 * Q5_0   32  f16 d │ u32 fifth bits │ 16 bytes                             w = d·(q − 16)
 * Q5_1   32  f16 d │ f16 m │ u32 fifth bits │ 16 bytes                     w = d·q + m
 * Q8_0   32  f16 d │ 32 int8                                               w = d·q
 * Q2_K  256  16 × (4-bit scale, 4-bit min) │ 64 bytes │ f16 d │ f16 min
 * Q3_K  256  32 bytes of third bits │ 64 bytes │ 12 bytes of 6-bit scales │ f16 d
 * Q4_K  256  f16 d │ f16 min │ 12 bytes of 6-bit scales and mins │ 128 bytes
 * Q5_K  256  f16 d │ f16 min │ 12 bytes │ 32 bytes of fifth bits │ 128 bytes
 * Q6_K  256  128 bytes │ 64 bytes of upper bits │ 16 int8 scales │ f16 d   w = d·s·(q − 32)
 * ```
 *
 * @module
 */
import { f16Value } from "../../tensor/float16.ts";

/** A block format. */
export interface BlockFormat {
  readonly name: string;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Weights of a block. */
  readonly weights: number;
  /** Dequantizes the block at byte `at` of `b` into `out` from element `to` on. */
  decode(b: Uint8Array, at: number, out: Float32Array, to: number): void;
}

const f = Math.fround;
const u16 = (b: Uint8Array, at: number) => b[at] | b[at + 1] << 8;

/** The float16 at byte `at`. */
function half(b: Uint8Array, at: number): number {
  return f16Value(u16(b, at));
}

/** A format of 32 weights: scale `d`, offset `m`, integers `q(i)`. */
function simple(
  name: string,
  bytes: number,
  parts: (b: Uint8Array, at: number) => {
    readonly d: number;
    readonly m?: number;
    readonly q: (i: number) => number;
  },
): BlockFormat {
  return {
    name,
    bytes,
    weights: 32,
    decode(b, at, out, to) {
      const { d, m, q } = parts(b, at);
      for (let i = 0; i < 32; i++) {
        const scaled = f(d * q(i)); // without an offset, −0 stays −0
        out[to + i] = m === undefined ? scaled : f(scaled + m);
      }
    },
  };
}

/** 4-bit integers in 16 bytes from `at` on: low nibbles first. */
const nibble = (b: Uint8Array, at: number) => (i: number) =>
  i < 16 ? b[at + i] & 15 : b[at + i - 16] >> 4;

/** 4-bit values with a fifth bit in the 4 bytes at `high`. */
const fiveBits = (b: Uint8Array, high: number, at: number) => (i: number) =>
  nibble(b, at)(i) | (b[high + (i >> 3)] >> (i & 7) & 1) << 4;

const Q4_0 = simple("Q4_0", 18, (b, at) => ({
  d: half(b, at),
  q: (i) => nibble(b, at + 2)(i) - 8,
}));
const Q4_1 = simple("Q4_1", 20, (b, at) => ({
  d: half(b, at),
  m: half(b, at + 2),
  q: nibble(b, at + 4),
}));
const Q5_0 = simple("Q5_0", 22, (b, at) => ({
  d: half(b, at),
  q: (i) => fiveBits(b, at + 2, at + 6)(i) - 16,
}));
const Q5_1 = simple("Q5_1", 24, (b, at) => ({
  d: half(b, at),
  m: half(b, at + 2),
  q: fiveBits(b, at + 4, at + 8),
}));
const Q8_0 = simple("Q8_0", 34, (b, at) => ({
  d: half(b, at),
  q: (i) => b[at + 2 + i] << 24 >> 24,
}));

const Q2_K: BlockFormat = {
  name: "Q2_K",
  bytes: 84,
  weights: 256,
  decode(b, at, out, to) {
    const d = half(b, at + 80), min = half(b, at + 82);
    for (let i = 0; i < 256; i++) {
      const group = i >> 4, scale = b[at + group];
      const byte = b[at + 16 + (i >> 7) * 32 + (i & 31)];
      const q = byte >> 2 * (i >> 5 & 3) & 3;
      out[to + i] = f(f(f(d * (scale & 15)) * q) - f(min * (scale >> 4)));
    }
  },
};

const Q3_K: BlockFormat = {
  name: "Q3_K",
  bytes: 110,
  weights: 256,
  decode(b, at, out, to) {
    const d = half(b, at + 108), scales = at + 96;
    for (let i = 0; i < 256; i++) {
      const group = i >> 4; // low 4 bits in 8 bytes, high 2 bits in 4
      const low = b[scales + (group & 7)] >> (group < 8 ? 0 : 4) & 15;
      const high = b[scales + 8 + (group & 3)] >> 2 * (group >> 2) & 3;
      const scale = f(d * ((low | high << 4) - 32));
      const byte = b[at + 32 + (i >> 7) * 32 + (i & 31)];
      const bits = byte >> 2 * (i >> 5 & 3) & 3;
      const third = b[at + (i & 31)] >> (i >> 5) & 1;
      out[to + i] = f(scale * (bits - (third ? 0 : 4)));
    }
  },
};

/** 6-bit scale and min of group `j` of Q4_K and Q5_K, from the 12 bytes at `at`. */
function scaleAndMin(
  b: Uint8Array,
  at: number,
  j: number,
): readonly [number, number] {
  if (j < 4) return [b[at + j] & 63, b[at + j + 4] & 63];
  return [
    b[at + j + 4] & 15 | b[at + j - 4] >> 6 << 4,
    b[at + j + 4] >> 4 | b[at + j] >> 6 << 4,
  ];
}

/** Q4_K and Q5_K: 8 groups of 32 weights; two groups share 32 bytes of nibbles. */
function grouped(name: string, bytes: number, fifth: boolean): BlockFormat {
  return {
    name,
    bytes,
    weights: 256,
    decode(b, at, out, to) {
      const d = half(b, at), min = half(b, at + 2);
      const high = at + 16, low = high + (fifth ? 32 : 0);
      for (let j = 0; j < 8; j++) {
        const [s, m] = scaleAndMin(b, at + 4, j);
        const scale = f(d * s), offset = f(min * m);
        for (let l = 0; l < 32; l++) {
          const q = b[low + (j >> 1) * 32 + l] >> 4 * (j & 1) & 15;
          const bit = fifth ? b[high + l] >> j & 1 : 0;
          out[to + j * 32 + l] = f(f(scale * (q | bit << 4)) - offset);
        }
      }
    },
  };
}

const Q6_K: BlockFormat = {
  name: "Q6_K",
  bytes: 210,
  weights: 256,
  decode(b, at, out, to) {
    const d = half(b, at + 208);
    for (let i = 0; i < 256; i++) {
      const side = i >> 7, part = i >> 5 & 3, l = i & 31;
      const low = b[at + side * 64 + (part & 1) * 32 + l] >> (part < 2 ? 0 : 4);
      const high = b[at + 128 + side * 32 + l] >> 2 * part & 3;
      const scale = b[at + 192 + (i >> 4)] << 24 >> 24;
      out[to + i] = f(f(d * scale) * ((low & 15 | high << 4) - 32));
    }
  },
};

/** A format of one number per block. */
function plain(
  name: string,
  bytes: number,
  decode: (b: Uint8Array, at: number) => number,
): BlockFormat {
  return {
    name,
    bytes,
    weights: 1,
    decode: (b, at, out, to) => void (out[to] = decode(b, at)),
  };
}

const word = new Uint32Array(1), float = new Float32Array(word.buffer);

/** The float32 with the 16-bit patterns `low` and `high`. */
function single(low: number, high: number): number {
  word[0] = low | high << 16;
  return float[0];
}
const F32 = plain("F32", 4, (b, at) => single(u16(b, at), u16(b, at + 2)));
const F16 = plain("F16", 2, half);
const BF16 = plain("BF16", 2, (b, at) => single(0, u16(b, at)));

/** Formats by ggml's type number (ggml.h, `ggml_type`). */
export const BLOCK_FORMATS: ReadonlyMap<number, BlockFormat> = new Map([
  [0, F32],
  [1, F16],
  [2, Q4_0],
  [3, Q4_1],
  [6, Q5_0],
  [7, Q5_1],
  [8, Q8_0],
  [10, Q2_K],
  [11, Q3_K],
  [12, grouped("Q4_K", 144, false)],
  [13, grouped("Q5_K", 176, true)],
  [14, Q6_K],
  [30, BF16],
]);
