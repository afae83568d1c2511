/**
 * A test case of a kernel: a call over buffers with deterministic contents.
 * @module
 */
import type { Call, Operands } from "../../src/kernels/signature.ts";
import type {
  KernelName,
  OperandsOf,
} from "../../src/kernels/signatures/mod.ts";

/** One call to try. */
export interface Case<O extends Operands = Operands> {
  /** Shape and where it comes from. */
  readonly name: string;
  /** Places inputs, outputs and scratch, and returns the values of the call. */
  readonly build: (arena: Arena) => Call<O>;
}

/** Cases of a kernel. */
export type CasesOf<K extends KernelName> = readonly Case<OperandsOf<K>>[];

/** Places buffers in one memory, with deterministic contents; each returns an address. */
export interface Arena {
  /** `count` floats in about ±range. */
  floats(count: number, range?: number): number;
  /** `count` int8 values within [low, high]; the extremes come often. */
  int8s(count: number, low?: number, high?: number): number;
  /** Uniform bytes. */
  bytes(count: number): number;
  /** int32 values computed by `at`. */
  ints(count: number, at: (i: number) => number): number;
  /** The given bytes. */
  place(bytes: ArrayBufferView): number;
  /** Bytes that are not compared. */
  scratch(bytes: number): number;
}
