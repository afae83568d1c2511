/**
 * A plan's step: one kernel call as plain data. Every pointer is placed and
 * every scale is baked in; the few numbers that differ from call to call (how
 * many image rows, which cache slot) stand in registers, and an argument is
 * `base + register · scale`. The same steps are posted to every thread.
 * @module
 */
import { contracts, type KernelName } from "../kernels/contracts.ts";

/** What differs from call to call. `thread` differs from thread to thread. */
export const REGISTERS = [
  "thread",
  "imageRows", // image rows of the chunk: they come first (AIFS)
  "imageEnd", //  the same, rounded up to whole groups of 4 rows: where text codes begin
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

/**
 * Every kernel a plan may call, and with it the claim of this project in one
 * list: nothing here computes a scale (tests/static). Packers run at load only.
 */
export const STEP_KERNELS = [
  "gemm_w4a8",
  "gemm_w5a8",
  "gemm_w6a8",
  "gemm_w7a8",
  "gemm_w8a8",
  "gemm_w4ga8",
  "gemv_w4a8",
  "gemv_w5a8",
  "gemv_w6a8",
  "gemv_w7a8",
  "gemv_w8a8",
  "gemv_w4ga8",
  "gemm_f32",
  "quantize_f32_s8",
  "rmsnorm_f32_s8",
  "rmsnorm_f32",
  "hadamard_f32",
  "hadamard_f32_s8",
  "activate_f32",
  "activate_f32_s8",
  "activate_hadamard_f32_s8",
  "queries_f32_s8",
  "keys_f32_s8",
  "values_f32_s8",
  "attend_s8",
  "place_f32",
  "convolve_f32",
  "add_f32",
  "copy_f32",
  "gain_f32",
  "rank1_f32",
  "embed_f32",
  "pixel_shuffle_f32",
  "patchify_u8_s8",
] as const satisfies readonly KernelName[];

/** A kernel that a plan may call. */
export type StepKernel = (typeof STEP_KERNELS)[number];

/** A step that calls no kernel: (from memory, address, to memory, address, bytes). */
export const MOVE = "move";

/** Arguments [lo] and [hi] hold a range; threads take pieces of it in whole units. */
export interface Split {
  /** Index of the argument with the start of the range. */
  readonly lo: number;
  /** Index of the argument with its end. */
  readonly hi: number;
  /** Smallest piece: 8 columns, a group of rows, or one item. */
  readonly unit: number;
}

/** One kernel call. */
export interface Step {
  readonly kernel: StepKernel | typeof MOVE;
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

/** Whether a kernel name may stand in a plan. */
export function isStepKernel(name: string): name is StepKernel {
  return STEP_KERNELS.includes(name as StepKernel) &&
    Object.hasOwn(contracts, name);
}
