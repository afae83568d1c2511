/**
 * Plans a checked model: three lists of steps (per image, per chunk of tokens, per
 * token) with all addresses, and the exact memory they need, before any of it is
 * allocated.
 * @module
 */
import { maxPatches, mergeOf } from "../graph/grid.ts";
import { type Node, windowOf } from "../graph/node.ts";
import { maxWindows } from "../graph/windows.ts";
import { mropeAxes } from "../graph/rope.ts";
import { type Buffer, Store } from "./buffer.ts";
import { RuntimeError } from "../graph/error.ts";
import type { GridTable } from "./grids.ts";
import type { ListName } from "./lists.ts";
import type { DraftStep, Lowered } from "./lower/context.ts";
import { checkRatios, lowerAll } from "./lower/all.ts";
import {
  FIRST_ADDRESS,
  type MemoryLayout,
  type Placed,
  placeMemory,
  WeightAllocator,
  type WeightLimits,
} from "./memories.ts";
import { aligned, placeInOrder } from "./place.ts";
import { type PositionTable, positionTableKey } from "./position_tables.ts";
import type { StaticModel } from "../graph/static_model.ts";
import {
  maxSteps,
  REGISTER,
  REGISTER_COUNT,
  type Step,
  windowRegisters,
} from "./step.ts";

/**
 * Memory of a loaded model in bytes, by use.
 *
 * ```ts
 * import { type MemoryPlan } from "@mquant/mquant";
 *
 * const megabytes = ({ total }: MemoryPlan) => total / 1e6;
 * console.log(megabytes);
 * ```
 */
export interface MemoryPlan {
  /** Packed integer weights and embedding tables. */
  readonly weights: number;
  /** Scales, biases, rotary tables. */
  readonly constants: number;
  /** KV cache of the whole context. */
  readonly kv: number;
  /** Activations; weights are staged here while loading. */
  readonly activations: number;
  /** Scratch of all threads. */
  readonly scratch: number;
  /** Sum over all memories, with control words, in whole wasm pages. */
  readonly total: number;
}

/** A list of steps. */
export interface StepList {
  readonly steps: readonly Step[];
  /** Index of the first step that only the logits depend on. */
  readonly tail: number;
  /** Address of its result, float32 rows; stride in elements. */
  readonly result: { readonly at: number; readonly stride: number };
}

/** Options of a plan. */
export interface PlanOptions {
  /** Largest number of tokens of a conversation, a multiple of 8. */
  readonly context: number;
  /** Number of threads. */
  readonly threads: number;
  /** Most pixels of an image, with native resolution. */
  readonly maxPixels?: number;
  /** Maximum bytes of one memory; default 4 GiB. */
  readonly memoryBytes?: number;
  /** First address used of the first memory; default `FIRST_ADDRESS`, higher for tests. */
  readonly firstAddress?: number;
  /** Called with each list of steps before its buffers have addresses, for tests. */
  readonly inspect?: (list: ListName, steps: readonly DraftStep[]) => void;
  /** Returns the int8 value of each pixel byte for a scale, [3][256]. */
  readonly pixelTable?: (scale: number) => Int8Array;
}

/** A planned model: everything needed to load and run it. */
export interface Plan {
  readonly vision?: StepList;
  readonly prefill: StepList;
  readonly decode: StepList;
  readonly context: number;
  readonly threads: number;
  /** Maximum tokens of a prefill chunk. */
  readonly chunk: number;
  /** Most patches of an image. */
  readonly patches: number;
  /** Number of int32 registers of its steps. */
  readonly registers: number;
  /** Attention windows of an image: side in patches, and their largest number. */
  readonly windows?: { readonly side: number; readonly most: number };
  readonly memory: MemoryPlan;
  /** Addresses of the inputs of a call. */
  readonly inputs: {
    /** Token ids of the text rows, int32. */
    readonly ids: number;
    /** Original position of each cached token, int32. */
    readonly order: number;
    /** Attention mask end of each cached token (last position it attends to), int32; only where that is not its own position. */
    readonly maskEnd?: number;
    /** RGB bytes of an image. */
    readonly pixels?: number;
    /** Image rows, float32. */
    readonly images?: { readonly at: number; readonly stride: number };
    /** Rotary tables whose rows are written when tokens are added (M-RoPE). */
    readonly positionTables: readonly PositionTable[];
    /** Tables that are written for the grid of each image. */
    readonly grids: readonly GridTable[];
  };
  readonly control: ControlAddresses;
  /** Buffers to fill when the model is loaded. */
  readonly persistent: readonly Buffer[];
  /** All memories; memory 0 holds everything except weights that do not fit. */
  readonly memories: readonly MemoryLayout[];
  /** Address and bytes of the constants, which must not change while a model runs. */
  readonly constants: { readonly at: number; readonly bytes: number };
}

/** Addresses that threads synchronise by. */
export interface ControlAddresses {
  /** Barrier of BARRIER_BYTES. */
  readonly barrier: number;
  /** Command words (execute/command.ts). */
  readonly command: number;
  /** Registers, int32. */
  readonly registers: number;
  /** For each step of a list, the number of its tiles that are taken, int32 (execute/run_steps.ts). */
  readonly tiles: number;
}

/** Most tokens of a prefill chunk; longer prompts run in several chunks. */
export const CHUNK = 256;

const MOST_BYTES = 2 ** 32;

/** Attempts to distribute the weights of a model among memories. */
const MOST_ATTEMPTS = 16;

/**
 * Plans a model. Where it does not fit one memory, weights go to further memories
 * (memories.ts), as few as possible.
 * @throws {RuntimeError} "plan" where the graph cannot be lowered, "memory" where it does not fit
 */
export function plan(model: StaticModel, options: PlanOptions): Plan {
  const limit = options.memoryBytes ?? MOST_BYTES;
  let limits: WeightLimits = { first: Infinity, others: limit };
  for (let i = 0; i < MOST_ATTEMPTS; i++) {
    const planned = planWithin(model, options, limits);
    const [first, ...others] = planned.memories.map((m) => m.bytes - limit);
    const over = Math.max(0, ...others);
    if (first <= 0 && over === 0) return planned;
    // The first reduction of memory 0 starts from the weights that it holds.
    const kept = Math.min(limits.first, planned.memories[0].weights);
    limits = {
      first: first > 0 ? kept - first : limits.first,
      others: limits.others - over,
    };
  }
  const { memory } = planWithin(model, options, { first: 0, others: limit });
  throw new RuntimeError(
    "memory",
    `Cannot plan the model: everything except the weights must fit one WebAssembly memory of ${
      gib(limit)
    } GiB: it needs ${
      gib(memory.total - memory.weights)
    } GiB with a context of ${options.context}; choose a shorter context or smaller images`,
  );
}

const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(2);

/** Addresses of the inputs, except ids and order. */
function inputsOf(
  { nodes }: StaticModel,
  store: Store,
  vision: Lowered | undefined,
  { images }: Lowered,
): Omit<Plan["inputs"], "ids" | "order"> {
  const maskEnd = store.buffers.get("mask end");
  const pixels = store.buffers.get("pixels");
  return {
    ...(maskEnd ? { maskEnd: maskEnd.at } : {}),
    ...(pixels ? { pixels: pixels.at } : {}),
    ...(images
      ? { images: { at: images.buffer.at, stride: images.stride } }
      : {}),
    positionTables: positionTablesOf(nodes, store),
    grids: vision?.grids.map((table) => table()) ?? [],
  };
}

/** Memory by use; `stateEnd` is the address of the constants in memory 0. */
function memoryOf(
  placed: readonly Placed[],
  stateEnd: number,
  threads: number,
): MemoryPlan {
  const [main] = placed;
  const sum = (of: (p: Placed, start: number) => number) =>
    placed.reduce(
      (all, p, i) => all + of(p, i === 0 ? stateEnd : FIRST_ADDRESS),
      0,
    );
  return {
    weights: sum((p) => p.weights),
    constants: sum((p, start) => p.ends.constants - start),
    kv: main.ends.cache - main.ends.weights,
    activations: sum((p) => p.staging.bytes),
    scratch: sum((p) => p.scratch.perThread * threads),
    total: sum((p) => p.bytes),
  };
}

/** A plan under limits of the weights in each memory. */
function planWithin(
  model: StaticModel,
  options: PlanOptions,
  limits: WeightLimits,
): Plan {
  const { info } = model, { context, threads } = options;
  const patches = info.image ? maxPatches(info.image, options.maxPixels) : 0;
  const whole = info.image?.bidirectional ? info.image.tokens : 0;
  const chunk = Math.min(context, Math.max(CHUNK, whole));
  const windows = windowsOf(model, patches);
  const registers = REGISTER_COUNT + windowRegisters(windows?.most ?? 0);
  checkRatios(model);
  const store = new Store(new WeightAllocator(limits));
  const shared = {
    ...options,
    capacity: context,
    imageRows: chunk,
    patches,
    ...(windows ? { windows } : {}),
  };
  const { vision, prefill, decode } = lowerAll(model, store, shared);
  if (vision) options.inspect?.("vision", vision.steps);
  options.inspect?.("prefill", prefill.steps);
  options.inspect?.("decode", decode.steps);
  const ids = store.state("ids", chunk * 4);
  const order = store.state("order", context * 4);
  const barrier = options.firstAddress ?? FIRST_ADDRESS,
    command = barrier + 64,
    words = command + 64;
  const lists = [vision, prefill, decode].filter((l) => l !== undefined);
  const most = maxSteps(lists.map((l) => l.steps));
  const tiles = aligned(words + registers * 4);
  const start = aligned(tiles + most * 4);
  const all = [...store.buffers.values()];
  const of = (region: string, memory = 0) =>
    all.filter((b) => b.region === region && (b.memory ?? 0) === memory);
  const stateEnd = placeInOrder(of("state"), start);
  const count = 1 + Math.max(...all.map((b) => b.memory ?? 0));
  const placed = Array.from(
    { length: count },
    (_, memory) =>
      placeMemory(memory === 0 ? stateEnd : FIRST_ADDRESS, {
        constants: of("constants", memory),
        weights: of("weights", memory),
        cache: of("cache", memory),
        arenas: lists.map((l) =>
          l.arena.filter((b) => (b.memory ?? 0) === memory)
        ),
        scratch: scratchOf(lists, memory),
        threads,
      }),
  );
  const resolve = (l: Lowered) => stepList(l, placed);
  return {
    ...(vision ? { vision: resolve(vision) } : {}),
    prefill: resolve(prefill),
    decode: resolve(decode),
    context,
    threads,
    chunk,
    patches,
    registers,
    ...(windows ? { windows } : {}),
    memory: memoryOf(placed, stateEnd, threads),
    memories: placed,
    inputs: {
      ids: ids.at,
      order: order.at,
      ...inputsOf(model, store, vision, prefill),
    },
    control: { barrier, command, registers: words, tiles },
    persistent: all.filter((b) => b.fill || b.weights),
    constants: { at: stateEnd, bytes: placed[0].ends.constants - stateEnd },
  };
}

/** Attention windows of images; undefined without windows. */
function windowsOf(
  { nodes, info }: StaticModel,
  patches: number,
): Plan["windows"] {
  const side = windowOf(nodes);
  if (side === undefined || !info.image) return undefined;
  return { side, most: maxWindows(patches, side, mergeOf(info.image)) };
}

/** Rotary tables of the attention nodes with M-RoPE, each once. */
function positionTablesOf(
  nodes: readonly Node[],
  store: Store,
): PositionTable[] {
  const tables = new Map<string, PositionTable>();
  for (const node of nodes) {
    if (node.op !== "attention" || !node.mropeSection) continue;
    const [cos, sin] = (["cos", "sin"] as const).map((part) =>
      store.buffers.get(positionTableKey(node, part))!.at
    );
    tables.set(positionTableKey(node, "cos"), {
      cos,
      sin,
      rotary: node,
      axes: mropeAxes(node),
    });
  }
  return [...tables.values()];
}

function scratchOf(lists: readonly Lowered[], memory: number): number {
  let most = 0;
  for (const { steps } of lists) {
    for (const { args, memory: at = 0 } of steps) {
      if (at !== memory) continue;
      for (const arg of args) {
        if (typeof arg === "object" && "scratch" in arg) {
          most = Math.max(most, arg.scratch);
        }
      }
    }
  }
  return most;
}

function stepList(l: Lowered, memories: readonly MemoryLayout[]): StepList {
  return {
    steps: l.steps.map((s) => placedStep(s, memories[s.memory ?? 0].scratch)),
    tail: l.tail,
    result: { at: l.result.buffer.at, stride: l.result.stride },
  };
}

function placedStep(
  s: DraftStep,
  { at: scratch, perThread }: MemoryLayout["scratch"],
): Step {
  const dynamic: [number, number, number][] = [];
  const args = s.args.map((arg, i) => {
    if (typeof arg === "number") return arg;
    if ("scratch" in arg) {
      dynamic.push([i, REGISTER.thread, perThread]);
      return scratch;
    }
    if ("buffer" in arg) {
      if (arg.register !== undefined) {
        dynamic.push([i, arg.register, arg.scale!]);
      }
      return arg.buffer.at + arg.offset;
    }
    dynamic.push([i, arg.register, arg.scale ?? 1]);
    return 0;
  });
  return { ...s, args, dynamic };
}
