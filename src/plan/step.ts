/**
 * A plan's step: one kernel call as plain data. Every pointer is placed and
 * every scale is baked in; the few numbers that differ from call to call (how
 * many image rows, which cache slot) stand in registers, and an argument is
 * `base + register · scale`. The same steps are posted to every thread.
 * @module
 */
import {
  KERNEL_NAMES,
  type KernelName,
  signatures,
} from "../kernels/signatures/mod.ts";

/** What differs from call to call. `thread` differs from thread to thread. */
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

/** Number of a register; registers of attention items follow the named ones. */
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

/** What a window of a picture (src/graph/windows.ts) has registers for, behind those of every plan. */
const WINDOW = [
  "start", // its first row
  "end",
  "rows",
  "slot", //  what a row's number lacks to its slot: windows begin at slots of their own
  "quads", // ceil(rows / 4)
] as const;

/** Registers of so many windows. */
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

/** A step that calls no kernel: (from memory, address, to memory, address, bytes). */
export const MOVE = "move";

/** Arguments [lo] and [hi] are a range; threads take pieces of it in whole units. */
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
  /** Memory that its pointers mean, where not memory 0. */
  readonly memory?: number;
  /** Node it came from, for people. */
  readonly label: string;
  /** Arguments with all registers at 0. */
  readonly args: readonly number[];
  /** [argument, register, scale]: adds register · scale. */
  readonly dynamic: readonly (readonly [number, number, number])[];
  /** How threads share it; thread 0 does it alone where there is none. */
  readonly split?: Split;
  /** Every thread does all of it, into memory of its own: cheaper than to meet. */
  readonly each?: true;
  /** Register that must not be 0 for the call to happen. */
  readonly when?: number;
  /** All threads meet behind it. False where the next step does not depend on it. */
  readonly sync: boolean;
  /** Multiply–adds: constant + perUnit · register. */
  readonly work: readonly [constant: number, register: number, perUnit: number];
}

/** Multiply–adds of a step. */
export function workOf(
  { work: [constant, register, perUnit] }: Step,
  registers: Int32Array,
): number {
  return constant + perUnit * registers[register];
}

/** Steps of the longest of some lists. */
export function mostSteps(lists: readonly (readonly unknown[])[]): number {
  return Math.max(...lists.map((steps) => steps.length));
}
