/**
 * The shared state of lowering: the model, the steps so far, and the values
 * they produce.
 * @module
 */
import {
  consumersIn,
  index,
  type LinearNode,
  type Node,
} from "../../graph/node.ts";
import { MODALITIES, type Phase } from "../../graph/phase.ts";
import { roundUp } from "../../kernels/layout.ts";
import {
  type Amount,
  type Arg,
  type Buffer,
  type Ref,
  ref,
  type Store,
} from "../buffer.ts";
import { RuntimeError } from "../../graph/error.ts";
import { only, type RowLayout, type Segment } from "../row_layout.ts";
import type { GridTable } from "../grids.ts";
import { aligned } from "../place.ts";
import type { StaticModel } from "../../graph/static_model.ts";
import type { Operands, Signature } from "../../kernels/signature.ts";
import { copy_f32 } from "../../kernels/signatures/rows.ts";
import type { KernelName } from "../../kernels/signatures/mod.ts";
import { MOVE, REGISTER, type Split, type Step } from "../step.ts";
import { quoted } from "../../format/error.ts";
import { all, argsOf, type PlannedCall } from "./call.ts";
import type {
  Floats,
  NormValue,
  Quantized,
  StreamState,
  Value,
} from "./value.ts";

/** A step before placement. */
export interface DraftStep {
  readonly kernel: Step["kernel"];
  readonly label: string;
  readonly args: readonly Arg[];
  readonly split?: Split;
  readonly each?: true;
  readonly when?: number;
  readonly memory?: number;
  sync: boolean;
  readonly work: readonly [number, number, number];
}

/** Options of lowering one list of steps. */
export interface LowerOptions {
  readonly phase: Phase;
  /** Rows at the start of the phase. */
  readonly layout: RowLayout;
  readonly threads: number;
  /** Slots of the K/V cache, a multiple of 8. */
  readonly capacity: number;
  /** Maximum image rows of a chunk. */
  readonly imageRows: number;
  /** Maximum patches of a picture. */
  readonly patches: number;
  /**
   * Windowed attention: patches per side of a window, and the maximum number of
   * windows.
   */
  readonly windows?: { readonly side: number; readonly most: number };
  /** Returns the int8 value per channel and pixel byte, [3][256], for a scale. */
  readonly pixelTable?: (scale: number) => Int8Array;
}

/** A lowered phase. */
export interface Lowered {
  readonly steps: readonly DraftStep[];
  /** First step that is needed only for the logits. */
  readonly tail: number;
  /** Buffers of the arena. */
  readonly arena: readonly Buffer[];
  /** Image rows or logits, float32, row stride `stride` elements. */
  readonly result: { readonly buffer: Buffer; readonly stride: number };
  /** Tables that depend on a picture's grid, available after placement. */
  readonly grids: readonly (() => GridTable)[];
  /** The input of image rows in the text phase. */
  readonly images?: {
    readonly buffer: Buffer;
    readonly stride: number;
    /** Id of the vision phase's value. */
    readonly x: string;
  };
}

/** Options of a kernel call. */
export interface CallOptions {
  /** Every thread runs all of it, into its own memory; cheaper than waiting. */
  readonly each?: boolean;
  /** If false, thread 0 runs it alone. */
  readonly split?: boolean;
  /** The call is skipped if this register is 0. */
  readonly when?: number;
  /** Whether threads wait for each other after it; default true. */
  readonly sync?: boolean;
  /** Memory of its addresses; default 0. */
  readonly memory?: number;
}

/** Maximum steps of a phase; real models have some hundreds. */
const MOST_STEPS = 2 ** 17;

/** A phase being lowered. */
export class Lowering {
  /** Nodes of the phase. */
  readonly nodes: readonly Node[];
  /** The nodes that use a value, in any phase. */
  readonly consumers: (id: string) => readonly Node[];
  /** Node by id, of the whole graph. */
  readonly byId: (id: string) => Node;
  /** Steps so far. */
  readonly steps: DraftStep[] = [];
  /** Buffers that live between steps. */
  readonly arena: Buffer[] = [];
  /** Values by node id. */
  readonly values = new Map<string, Value>();
  /** Quantized values by value and row split. */
  readonly quantized = new Map<string, Quantized>();
  /** Streams by name. */
  readonly streams = new Map<string, StreamState>();
  /** Linears that are already part of an emitted matmul. */
  readonly emitted = new Set<string>();
  /** First step that only the logits need. */
  tail = Infinity;
  /** Buffers that earlier steps without barrier may still read. */
  readonly open = new Set<Buffer>();
  /** The input of image rows. */
  images: Lowered["images"];
  readonly #grids = new Map<string, () => GridTable>();

  /** Starts lowering. */
  constructor(
    readonly model: StaticModel,
    readonly store: Store,
    readonly options: LowerOptions,
  ) {
    this.consumers = consumersIn(model.nodes);
    this.nodes = model.nodes.filter((n) => n.phase === options.phase);
    this.byId = index(model.nodes);
  }

  /** The error for a model that cannot be planned. */
  error(problem: string): RuntimeError {
    return new RuntimeError("plan", `Cannot plan the model: ${problem}`);
  }

  /** The value of a node. */
  value(id: string): Value {
    const value = this.values.get(id);
    if (!value) throw this.error(`there is no value ${quoted(id)}`);
    return value;
  }

  /** Allocates a buffer in the arena; with `each`, one per thread. */
  temporary(name: string, bytes: number, each = false, memory = 0): Buffer {
    const perThread = aligned(bytes);
    const buffer: Buffer = {
      name,
      region: "arena",
      bytes: each ? perThread * this.options.threads : bytes,
      ...(each ? { perThread } : {}),
      ...(memory === 0 ? {} : { memory }),
      at: 0,
      first: Infinity,
      last: -1,
    };
    this.arena.push(buffer);
    return buffer;
  }

  /** Allocates float rows. */
  rows(name: string, layout: RowLayout, width: number): Floats {
    const stride = roundUp(width, 8);
    const buffer = this.temporary(name, layout.maxRows * stride * 4);
    return { kind: "floats", buffer, column: 0, stride, layout };
  }

  /** Registers a table that depends on the grid, once per key. */
  grid(key: string, table: () => GridTable): void {
    this.#grids.set(key, table);
  }

  /** The registered tables. */
  get grids(): readonly (() => GridTable)[] {
    return [...this.#grids.values()];
  }

  /** Layout of a linear's output rows: those of its modality, if it has one. */
  madeBy(node: LinearNode, layout: RowLayout): RowLayout {
    if (node.modality === undefined) return layout;
    const key = `${node.modality}`, made = this.#cut.get(layout) ?? new Map();
    this.#cut.set(layout, made);
    if (!made.has(key)) {
      made.set(key, only(layout, MODALITIES.indexOf(node.modality)));
    }
    return made.get(key)!;
  }
  readonly #cut = new Map<RowLayout, Map<string, RowLayout>>();

  /**
   * Appends a kernel call. Threads split its range, unless `each` thread runs
   * all of it or `split` is false and thread 0 runs it.
   * @param cost multiply-adds: rows · perRow
   */
  emit<O extends Operands>(
    kernel: Signature<O>,
    label: string,
    call: PlannedCall<O>,
    [rows, perRow]: readonly [rows: Amount, perRow: number],
    { each = false, split = true, ...when }: CallOptions = {},
  ): void {
    const { args, split: cut } = argsOf(kernel, call);
    this.#add({
      kernel: kernel.name as KernelName,
      label,
      args,
      ...(cut && split && !each ? { split: cut } : {}),
      ...(each ? { each: true } : {}),
      ...(when.when === undefined ? {} : { when: when.when }),
      ...(when.memory ? { memory: when.memory } : {}),
      sync: when.sync ?? true,
      work: typeof rows === "number"
        ? [rows * perRow, 0, 0]
        : [0, rows.register, perRow * (rows.scale ?? 1)],
    });
  }

  /** Appends a copy of float rows of `k` elements. */
  copy(
    label: string,
    y: Ref,
    ldy: number,
    x: Ref,
    ldx: number,
    k: number,
    rows: Amount,
    options: CallOptions = {},
  ): void {
    const call = { y, ldy, x, ldx, k, rows: all(rows) };
    this.emit(copy_f32, label, call, [rows, k], options);
  }

  /** Appends a copy of bytes between memories: [memory, address] each. */
  move(
    label: string,
    [from, source]: readonly [number, Buffer],
    [to, target]: readonly [number, Buffer],
    bytes: Amount,
  ): void {
    const args = [from, ref(source), to, ref(target), bytes];
    this.#add({ kernel: MOVE, label, args, sync: true, work: [0, 0, 0] });
  }

  #add(step: DraftStep): void {
    const at = this.steps.length;
    if (at === MOST_STEPS) {
      throw this.error(`it has more than ${MOST_STEPS} steps`);
    }
    for (const arg of step.args) {
      if (typeof arg === "object" && "buffer" in arg) {
        arg.buffer.first = Math.min(arg.buffer.first, at);
        arg.buffer.last = Math.max(arg.buffer.last, at);
        this.open.add(arg.buffer);
      }
    }
    if (step.sync) this.#closeAt(at);
    this.steps.push(step);
  }

  /**
   * Inserts a barrier before a step that writes `buffer` if an earlier step may
   * still read it.
   */
  meetBefore(buffer: Buffer): void {
    const last = this.steps.at(-1);
    if (last === undefined || !this.open.has(buffer)) return;
    last.sync = true;
    this.#closeAt(this.steps.length - 1);
  }

  /** Ends the list with a barrier. */
  close(): void {
    this.#closeAt(this.steps.length - 1);
  }

  /**
   * Marks a barrier after step `at`: buffers of earlier steps are free after
   * it.
   */
  #closeAt(at: number): void {
    for (const b of this.open) b.last = Math.max(b.last, at);
    this.open.clear();
  }

  /** Checks that a value has the rows of `layout`. */
  expectRows(id: string, layout: RowLayout, ...values: readonly Value[]): void {
    if (values.every((v) => v.layout === layout)) return;
    throw this.error(
      `${quoted(id)} must get the same rows from all its inputs`,
    );
  }

  /** Calls `emit` once per segment; threads wait only after the last one. */
  perSegment(
    layout: RowLayout,
    emit: (s: Segment, sync: boolean) => void,
  ): void {
    layout.segments.forEach((s, i) =>
      emit(s, i === layout.segments.length - 1)
    );
  }

  /** Address of a value's first row, or of the first row of a segment. */
  pointer(v: Floats, start: Amount = 0): Ref {
    if (v.last) {
      return ref(
        v.buffer,
        v.column * 4,
        { register: REGISTER.last },
        v.stride * 4,
      );
    }
    return ref(v.buffer, v.column * 4, start, v.stride * 4);
  }

  /** The stream of a norm; throws if it was written since. */
  current(v: NormValue, id: string): StreamState {
    const stream = this.streams.get(v.node.stream)!;
    if (stream.version !== v.version) {
      throw this.error(
        `${quoted(id)} is used after its stream was written again`,
      );
    }
    return stream;
  }
}
