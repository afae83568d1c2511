/**
 * What a kernel is: a meaning, a reference in plain TypeScript with the same
 * parameters, and the cases that drive tests and benches. Exports of the wasm
 * modules are named `<contract>__<isa>[_<tile>]`; what stands left of `__` is
 * the name of a contract in `contracts.ts`.
 * @module
 */
import type { Views } from "./views.ts";

/** A kernel's function type: every parameter is a pointer (bytes), a size or a float. */
// deno-lint-ignore no-explicit-any
export type KernelFunction = (...args: any[]) => void;

/** The left side of `__`: everything all implementations share. */
export interface Contract<F extends KernelFunction> {
  /** One line: what is left in memory. */
  readonly meaning: string;
  /** The obvious version over one memory; implementations leave the same bytes. */
  readonly reference: (views: Views) => F;
  /** Edges and real shapes. */
  readonly cases: readonly Case[];
}

/** One call to try. */
export interface Case {
  /** Shape and where it comes from. */
  readonly name: string;
  /** Places inputs, outputs and scratch and returns the arguments in order. */
  build(arena: Arena): number[];
}

/** Places buffers in one memory, with deterministic content. */
export interface Arena {
  /** `count` floats in about ±range. */
  floats(count: number, range?: number): number;
  /** `count` int8 codes within [low, high]; the corners come often. */
  codes(count: number, low?: number, high?: number): number;
  /** Uniform bytes. */
  bytes(count: number): number;
  /** int32 values computed by `at`. */
  ints(count: number, at: (i: number) => number): number;
  /** The given bytes. */
  place(bytes: ArrayBufferView): number;
  /** Bytes nobody compares. */
  scratch(bytes: number): number;
}

/** Identity; gives a contract its type. */
export function contract<F extends KernelFunction>(
  c: Contract<F>,
): Contract<F> {
  return c;
}
