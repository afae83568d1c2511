/**
 * A step of a plan: one kernel call as plain data. Every pointer is placed and
 * every scale is a constant. The few numbers that differ between calls (number
 * of image rows, cache slot) are in registers; an argument is `base + register
 * · scale`. All threads receive the same steps.
 * @module
 */
import {
  KERNEL_NAMES,
  type KernelName,
  signatures,
} from "../kernels/signatures/mod.ts";

/** Names of the registers; `thread` differs per thread. */
export const REGISTERS = [
  "thread",
  "imageRows", // image rows of the chunk: they come first (AIFS)
  "imageEnd", //  the same, rounded up to whole row blocks: where packed text rows begin
  "textRows",
  "rows", //      imageRows + textRows
  "slot", //      cache slot of row 0
  "keys", //      keys in the cache once this chunk is in: slot + rows
  "last", //      row of the chunk's last token
  "lastSlot", //  slot + last
  "cols", //      vision: patches across; `rows` are all patches
  "tokens", //    vision: tokens of the picture
] as const;

/** Name of a register. */
export type RegisterName = (typeof REGISTERS)[number];

/** Index of a register; registers of attention items follow the named ones. */
export const REGISTER = Object.fromEntries(
  REGISTERS.map((name, i) => [name, i]),
) as Readonly<Record<RegisterName, number>>;

/** Register that holds ceil(rows · ratio / 4): attention items per kv head, ratio = heads/kvHeads. */
export function quadRegister(ratio: number): number {
  return REGISTERS.length - 1 + ratio;
}

/** Largest number of query heads per key head. */
export const MOST_RATIO = 64;

/** Int32 registers of every plan: the named ones and one per possible heads/kvHeads. */
export const REGISTER_COUNT = REGISTERS.length + MOST_RATIO;

/** Registers of a window (src/graph/windows.ts), after those of every plan. */
const WINDOW = [
  "start", // its first row
  "end",
  "rows",
  "slot", //  what a row's number lacks to its slot: windows begin at slots of their own
  "quads", // ceil(rows / 4)
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

/** Kernels that a plan may call; packers run while loading. */
export const STEP_KERNELS: readonly KernelName[] = KERNEL_NAMES.filter((name) =>
  signatures[name].stage === "step"
);

/**
 * A step without a kernel: copies (from memory, address, to memory, address,
 * bytes).
 */
export const MOVE = "move";

/** Arguments [lo] and [hi] are a range that threads split in whole units. */
export interface Split {
  /** Index of the argument with the start of the range. */
  readonly lo: number;
  /** Index of the argument with its end. */
  readonly hi: number;
  /** Smallest piece: 8 columns, a row block, or one item. */
  readonly unit: number;
}

/** One kernel call. */
export interface Step {
  readonly kernel: KernelName | typeof MOVE;
  /** Memory of its pointers; default memory 0. */
  readonly memory?: number;
  /** Node it came from, for output. */
  readonly label: string;
  /** Arguments with all registers at 0. */
  readonly args: readonly number[];
  /** [argument, register, scale]: adds register · scale. */
  readonly dynamic: readonly (readonly [number, number, number])[];
  /** How threads split it; without, thread 0 runs it alone. */
  readonly split?: Split;
  /** Every thread runs all of it, into its own memory; cheaper than a barrier. */
  readonly each?: true;
  /** The step is skipped if this register is 0. */
  readonly when?: number;
  /** Whether a barrier follows; false if the next step does not depend on it. */
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

/** Number of steps of the longest list. */
export function mostSteps(lists: readonly (readonly unknown[])[]): number {
  return Math.max(...lists.map((steps) => steps.length));
}
