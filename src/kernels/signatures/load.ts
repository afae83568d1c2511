/**
 * Kernels outside of plans: packing weights while a model loads, and the barrier
 * between steps.
 * @module
 */
import { valueBytes, weightBytes } from "../layout.ts";
import { i32, kernel, out, packed, size } from "../signature.ts";

const packer = (name: string, bits: 4 | 8) =>
  kernel(
    name,
    `w = panels of row-major ${bits}-bit values, padding of weight 0`,
    {
      /** Row-major [rows][k]: int8, or two nibbles per byte for 4 bits. */
      values: packed(
        "i8",
        "[rows][k]",
        ({ rows, k }) => valueBytes(bits, rows, k),
      ),
      w: out(
        packed(
          "u8",
          `W${bits} [rows][k]`,
          ({ rows, k }) => weightBytes(bits, rows, k),
        ),
      ),
      rows: size,
      /** Unpadded, a multiple of 4. */
      k: size,
    },
    "load",
  );

/** 4-bit weights. */
export const pack_w4 = packer("pack_w4", 4);
/** 8-bit weights. */
export const pack_w8 = packer("pack_w8", 8);

/** Bytes of one barrier: three words on a cache line of their own. */
export const BARRIER_BYTES = 64;

/**
 * Returns once all `threads` threads have called it with the same address. Spins
 * first, then sleeps. In unshared builds there is one thread and nothing to wait for.
 */
export const barrier = kernel(
  "barrier",
  "returns once all threads arrived",
  {
    /** Generation, arrivals, sleepers (int32 each), zeroed once. */
    words: out(i32("3")),
    threads: size,
    /** Polls before sleeping. */
    spinLimit: size,
  },
  "sync",
);
