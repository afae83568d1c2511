/**
 * A step of a plan: one kernel call as plain data. Addresses and scales are fixed. The
 * few numbers that differ from call to call (number of image rows, cache slot) are in
 * registers, and an argument is `base + register · scale`. All threads have the same
 * steps.
 * @module
 */
import {
  KERNEL_NAMES,
  type KernelName,
  signatures,
} from "../kernels/signatures/mod.ts";

/** Registers: numbers that differ from call to call, and `thread`, which differs from thread to thread. */
export const REGISTERS = [
  "thread",
  "imageRows", // image rows of the chunk, which come first (AIFS)
  "imageEnd", //  the same, rounded up to row blocks: first packed text row
  "textRows",
  "rows", //      imageRows + textRows
  "slot", //      cache slot of row 0
  "keys", //      keys in the cache after this chunk: slot + rows
  "last", //      row of the chunk's last token
  "lastSlot", //  slot + last
  "cols", //      vision: columns of patches; `rows` is the number of patches
  "tokens", //    vision: tokens of the image
] as const;

/** Name of a register. */
export type RegisterName = (typeof REGISTERS)[number];

/** Index of a register by name; the registers of attention items follow the named ones. */
export const REGISTER = Object.fromEntries(
  REGISTERS.map((name, i) => [name, i]),
) as Readonly<Record<RegisterName, number>>;

/** Register of ceil(rows · ratio / 4), the number of attention items per kv head; ratio = heads/kvHeads. */
export function itemsRegister(ratio: number): number {
  return REGISTERS.length - 1 + ratio;
}

/** Largest number of query heads per key head. */
export const MOST_RATIO = 64;

/** Int32 registers of every plan: the named ones and one per heads/kvHeads up to MOST_RATIO. */
export const REGISTER_COUNT = REGISTERS.length + MOST_RATIO;

/** Registers of each attention window of an image (src/graph/windows.ts); they follow those of every plan. */
const WINDOW = [
  "start", // its first row
  "end",
  "rows",
  "slot", //  cache slot of a row minus its index
  "items", // ceil(rows / 4)
] as const;

/** Number of registers of `windows` windows. */
export const windowRegisters = (windows: number): number =>
  windows * WINDOW.length;

/** Register of window `w`. */
export function windowRegister(
  w: number,
  field: (typeof WINDOW)[number],
): number {
  return REGISTER_COUNT + w * WINDOW.length + WINDOW.indexOf(field);
}

/** Kernels that steps may call; packers run while loading. */
export const STEP_KERNELS: readonly KernelName[] = KERNEL_NAMES.filter((name) =>
  signatures[name].stage === "step"
);

/** Step without a kernel: copies bytes between memories (from memory, address, to memory, address, bytes). */
export const CROSS_MEMORY_COPY = "cross_memory_copy";

/** Arguments [lo] and [hi] are a range, which threads divide in whole units. */
export interface Split {
  /** Index of the argument with the start of the range. */
  readonly lo: number;
  /** Index of the argument with its end. */
  readonly hi: number;
  /** Smallest part: 8 columns, a row block, or one item. */
  readonly unit: number;
}

/** One kernel call. */
export interface Step {
  readonly kernel: KernelName | typeof CROSS_MEMORY_COPY;
  /** Index of the memory of its pointers; default 0. */
  readonly memory?: number;
  /** Ids of its nodes. */
  readonly label: string;
  /** Arguments with all registers at 0. */
  readonly args: readonly number[];
  /** [argument, register, scale]: adds register · scale. */
  readonly dynamic: readonly (readonly [number, number, number])[];
  /** The range that threads divide; without it thread 0 runs the step. */
  readonly split?: Split;
  /** Every thread runs all of it, into its own memory: cheaper than a barrier. */
  readonly each?: true;
  /** The step is skipped where this register is 0. */
  readonly when?: number;
  /** Whether a barrier of all threads follows. False where the next step does not depend on it. */
  readonly sync: boolean;
  /** Multiply-adds: constant + perUnit · register. */
  readonly work: readonly [constant: number, register: number, perUnit: number];
}

/** Multiply-adds of a step. */
export function workOf(
  { work: [constant, register, perUnit] }: Step,
  registers: Int32Array,
): number {
  return constant + perUnit * registers[register];
}

/** Length of the longest list. */
export function maxSteps(lists: readonly (readonly unknown[])[]): number {
  return Math.max(...lists.map((steps) => steps.length));
}
