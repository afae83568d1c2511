/**
 * Resizing with the same bytes as Pillow 13 (src/libImaging/Resample.c), because
 * models were trained on them. Two passes; coefficients are rounded to 22-bit fixed
 * point, each pass to bytes; when shrinking, the filter widens with the scale. torch's
 * resize of bytes differs in two points: as many bits as fit the largest coefficient
 * into an int16, and the horizontal pass is always first
 * (aten/src/ATen/native/cpu/UpSampleKernel.cpp).
 * @module
 */
import { sincos } from "../tensor/math.ts";
import { roundEven } from "../tensor/round.ts";
import { ImageError } from "./image.ts";
import type { Image } from "./image.ts";

/** A filter of Pillow, or torch's bilinear filter. */
export type Resampling = "lanczos" | "bilinear" | "bicubic" | "torch-bilinear";

interface Kernel {
  /** Half its width, in source pixels at scale 1. */
  readonly support: number;
  /** Its value at a distance. */
  at(x: number): number;
  /** torch's rounding and order of passes. */
  readonly torch?: true;
}

function sinc(x: number): number {
  return x === 0 ? 1 : sincos(Math.PI * x)[0] / (Math.PI * x);
}

const triangle = (x: number) => Math.max(0, 1 - Math.abs(x));

const KERNELS: Readonly<Record<Resampling, Kernel>> = {
  bilinear: { support: 1, at: triangle },
  "torch-bilinear": { support: 1, at: triangle, torch: true },
  bicubic: {
    support: 2,
    at(x) {
      const a = -0.5; // Keys 1981
      x = Math.abs(x);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
      return 0;
    },
  },
  lanczos: {
    support: 3,
    at: (x) => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0,
  },
};

const PRECISION = 22; // bits: 255 · Σ|k| stays within int32

/** Most bits, at most PRECISION, with which a coefficient fits an int16. */
function int16Bits(largest: number): number {
  let bits = 0;
  while (
    bits < PRECISION && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15
  ) bits++;
  return bits;
}

/** For each output position: first source position, count, and weights. */
interface Weights {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [outputs, stride] in units of 2^-bits. */
  readonly weights: Int32Array;
  readonly bits: number;
  readonly stride: number;
}

/** Weights before they are rounded. */
interface Shares {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [outputs, stride], each row adds up to 1. */
  readonly shares: Float64Array;
  readonly stride: number;
}

function sharesOf(from: number, to: number, kernel: Kernel): Shares {
  const scale = from / to;
  const widening = Math.max(scale, 1);
  const support = kernel.support * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to), count = new Int32Array(to);
  const shares = new Float64Array(to * stride);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const row = shares.subarray(i * stride, (i + 1) * stride);
    let sum = 0;
    for (let k = 0; k < end - begin; k++) {
      // × 1/widening, not ÷ widening: the roundings are Pillow's.
      sum += row[k] = kernel.at((begin + k - center + 0.5) * (1 / widening));
    }
    for (let k = 0; k < end - begin; k++) if (sum !== 0) row[k] /= sum;
    first[i] = begin;
    count[i] = end - begin;
  }
  return { first, count, shares, stride };
}

function weightsOf(from: number, to: number, kernel: Kernel): Weights {
  const { shares, ...places } = sharesOf(from, to, kernel);
  const largest = shares.reduce((a, b) => Math.max(a, b), 0);
  const bits = kernel.torch ? int16Bits(largest) : PRECISION;
  const weights = Int32Array.from(shares, (share) => {
    const w = share * 2 ** bits;
    return Math.trunc(w < 0 ? w - 0.5 : w + 0.5);
  });
  return { ...places, weights, bits };
}

/**
 * Reduces a picture as torch does with a float tensor (bilinear, antialias), then
 * rounds to bytes, ties to even.
 */
export function resizeInFloats(
  image: Image,
  width: number,
  height: number,
): Image {
  const kernel = KERNELS.bilinear;
  const across = sharesOf(image.width, width, kernel);
  const down = sharesOf(image.height, height, kernel);
  const data = new Uint8Array(width * height * 3);
  const rows = new Float64Array(image.height * width * 3);
  for (let i = 0; i < rows.length; i++) {
    const c = i % 3, x = (i - c) / 3 % width, y = (i - c - 3 * x) / 3 / width;
    let at = (y * image.width + across.first[x]) * 3 + c;
    for (let k = 0; k < across.count[x]; k++, at += 3) {
      rows[i] += across.shares[x * across.stride + k] * image.data[at];
    }
  }
  const wide = width * 3;
  for (let i = 0; i < data.length; i++) {
    const x = i % wide, y = (i - x) / wide;
    let sum = 0, at = down.first[y] * wide + x;
    for (let k = 0; k < down.count[y]; k++, at += wide) {
      sum += down.shares[y * down.stride + k] * rows[at];
    }
    data[i] = roundEven(sum);
  }
  return { width, height, data };
}

/** `image` at `width` × `height` pixels; a copy where the size is the same. */
export function resize(
  image: Image,
  width: number,
  height: number,
  resampling: Resampling,
): Image {
  for (const side of [width, height]) {
    if (!Number.isSafeInteger(side) || side < 1 || side > 65_535) {
      throw new ImageError(
        "settings",
        `Cannot resize to ${width} × ${height}: sides must be whole numbers from 1 to 65535`,
      );
    }
  }
  const kernel = KERNELS[resampling];
  let { width: w, height: h, data } = image;
  const across = () => {
    if (w === width) return;
    data = horizontal(data, w, h, weightsOf(w, width, kernel));
    w = width;
  };
  const down = () => {
    if (h === height) return;
    data = vertical(data, w, weightsOf(h, height, kernel));
    h = height;
  };
  // Pillow's rule since 13.0; earlier versions did the horizontal pass first.
  const downFirst = !kernel.torch && h > height &&
    h - height > (w - width) * 2;
  if (downFirst) down();
  across();
  down();
  return { width, height, data: data === image.data ? data.slice() : data };
}

function byte(x: number, bits: number): number {
  const v = x >> bits;
  return v < 0 ? 0 : v > 255 ? 255 : v;
}

function horizontal(
  from: Uint8Array,
  width: number,
  height: number,
  { first, count, weights, bits, stride }: Weights,
): Uint8Array<ArrayBuffer> {
  const half = 1 << (bits - 1);
  const outputs = first.length;
  const to = new Uint8Array(outputs * height * 3);
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < outputs; x++, o += 3) {
      let r = half, g = half, b = half;
      let p = (y * width + first[x]) * 3;
      const begin = x * stride, end = begin + count[x];
      for (let k = begin; k < end; k++, p += 3) {
        const w = weights[k];
        r = (r + Math.imul(from[p], w)) | 0;
        g = (g + Math.imul(from[p + 1], w)) | 0;
        b = (b + Math.imul(from[p + 2], w)) | 0;
      }
      to[o] = byte(r, bits);
      to[o + 1] = byte(g, bits);
      to[o + 2] = byte(b, bits);
    }
  }
  return to;
}

function vertical(
  from: Uint8Array,
  width: number,
  { first, count, weights, bits, stride }: Weights,
): Uint8Array<ArrayBuffer> {
  const rowBytes = width * 3;
  const to = new Uint8Array(rowBytes * first.length);
  const sums = new Int32Array(rowBytes); // a row at a time, so that reads are sequential
  for (let y = 0; y < first.length; y++) {
    sums.fill(1 << (bits - 1));
    for (let k = 0; k < count[y]; k++) {
      const w = weights[y * stride + k];
      const p = (first[y] + k) * rowBytes;
      for (let i = 0; i < rowBytes; i++) sums[i] += Math.imul(from[p + i], w);
    }
    for (let i = 0, o = y * rowBytes; i < rowBytes; i++) {
      to[o + i] = byte(sums[i], bits);
    }
  }
  return to;
}
