/**
 * Shared state of lowering: the model, the steps so far, and the values of nodes.
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
import { CROSS_MEMORY_COPY, REGISTER, type Split, type Step } from "../step.ts";
import { quoted } from "../../format/error.ts";
import { all, argsOf, type PlannedCall } from "./call.ts";
import type {
  Floats,
  NormValue,
  Quantized,
  StreamState,
  Value,
} from "./value.ts";

/** A step before its buffers have addresses; fields as in `Step`. */
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

/** Options of one list of steps. */
export interface LowerOptions {
  readonly phase: Phase;
  /** Rows at the start of the phase. */
  readonly layout: RowLayout;
  readonly threads: number;
  /** Slots of the KV cache, a multiple of 8. */
  readonly capacity: number;
  /** Maximum image rows of a chunk. */
  readonly imageRows: number;
  /** Most patches of an image. */
  readonly patches: number;
  /** Attention windows: side in patches, and their largest number; the patches are in window order. */
  readonly windows?: { readonly side: number; readonly most: number };
  /** Quantized value of each pixel byte at a scale, [3][256]. */
  readonly pixelTable?: (scale: number) => Int8Array;
}

/** A lowered phase. */
export interface Lowered {
  readonly steps: readonly DraftStep[];
  /** Index of the first step that only the logits depend on. */
  readonly tail: number;
  /** Arena buffers. */
  readonly arena: readonly Buffer[];
  /** Image rows or logits, float32; stride in elements. */
  readonly result: { readonly buffer: Buffer; readonly stride: number };
  /** Tables that depend on the grid; call after buffers have addresses. */
  readonly grids: readonly (() => GridTable)[];
  /** Input of the text phase for image rows. */
  readonly images?: {
    readonly buffer: Buffer;
    readonly stride: number;
    /** Id of their value in the vision phase. */
    readonly x: string;
  };
}

/** Execution of a kernel call. */
export interface CallOptions {
  /** Every thread runs all of it, into its own memory: cheaper than a barrier. */
  readonly each?: boolean;
  /** False: thread 0 runs it alone. */
  readonly split?: boolean;
  /** The call is skipped where this register is 0. */
  readonly when?: number;
  /** Whether a barrier follows; default true. */
  readonly sync?: boolean;
  /** Index of the memory of its pointers; default 0. */
  readonly memory?: number;
}

/** Most steps of a phase: real models have hundreds. */
const MOST_STEPS = 2 ** 17;

/** State of lowering one phase. */
export class Lowering {
  /** Nodes of the phase. */
  readonly nodes: readonly Node[];
  /** Nodes that use a value, in any phase. */
  readonly consumers: (id: string) => readonly Node[];
  /** Node by id, of the whole graph. */
  readonly byId: (id: string) => Node;
  /** Steps so far. */
  readonly steps: DraftStep[] = [];
  /** Arena buffers so far. */
  readonly arena: Buffer[] = [];
  /** Values by node id. */
  readonly values = new Map<string, Value>();
  /** Quantized values by value, with and without channel 0. */
  readonly quantized = new Map<string, Quantized>();
  /** Streams by name. */
  readonly streams = new Map<string, StreamState>();
  /** Linears that an emitted matmul already includes. */
  readonly emitted = new Set<string>();
  /** Index of the first step that only the logits depend on. */
  tail = Infinity;
  /** Buffers used since the last barrier. */
  readonly open = new Set<Buffer>();
  /** Input of the text phase for image rows. */
  images: Lowered["images"];
  readonly #grids = new Map<string, () => GridTable>();

  /** Before the first node. */
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

  /** Creates an arena buffer; with `each`, one per thread. */
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

  /** Creates an arena buffer of float rows. */
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

  /** The output layout of a linear: the rows of its modality, where it has one. */
  outputLayout(node: LinearNode, layout: RowLayout): RowLayout {
    if (node.modality === undefined) return layout;
    const key = `${node.modality}`;
    const known = this.#byModality.get(layout) ?? new Map();
    this.#byModality.set(layout, known);
    if (!known.has(key)) {
      known.set(key, only(layout, MODALITIES.indexOf(node.modality)));
    }
    return known.get(key)!;
  }
  readonly #byModality = new Map<RowLayout, Map<string, RowLayout>>();

  /**
   * Adds a kernel call. Threads divide its range, unless `each` thread runs all of it,
   * or `split` is false and thread 0 runs it.
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

  /** Adds a copy of float rows of `k` elements; strides in elements. */
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

  /** Adds a copy of bytes from one memory to another: [memory, buffer] each. */
  copyAcross(
    label: string,
    [from, source]: readonly [number, Buffer],
    [to, target]: readonly [number, Buffer],
    bytes: Amount,
  ): void {
    const args = [from, ref(source), to, ref(target), bytes];
    const kernel = CROSS_MEMORY_COPY;
    this.#add({ kernel, label, args, sync: true, work: [0, 0, 0] });
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
   * Adds a barrier before a step that writes `buffer`, where a step since the last
   * barrier may still read it.
   */
  barrierBefore(buffer: Buffer): void {
    const last = this.steps.at(-1);
    if (last === undefined || !this.open.has(buffer)) return;
    last.sync = true;
    this.#closeAt(this.steps.length - 1);
  }

  /** Ends the list; a barrier follows its last step. */
  close(): void {
    this.#closeAt(this.steps.length - 1);
  }

  /** A barrier after step `at`: until then the buffers in use must not be reused. */
  #closeAt(at: number): void {
    for (const b of this.open) b.last = Math.max(b.last, at);
    this.open.clear();
  }

  /** Throws where a value's rows are not those of `layout`. */
  expectRows(id: string, layout: RowLayout, ...values: readonly Value[]): void {
    if (values.every((v) => v.layout === layout)) return;
    throw this.error(
      `${quoted(id)} must get the same rows from all its inputs`,
    );
  }

  /** Calls `emit` once per segment; a barrier follows only the last. */
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

  /** The stream of a norm; throws where it changed since the norm's position in the graph. */
  current(v: NormValue, id: string): StreamState {
    const stream = this.streams.get(v.node.stream)!;
    if (stream.version !== v.version) {
      throw this.error(
        `${quoted(id)} is used after its stream changed`,
      );
    }
    return stream;
  }
}
