/**
 * What all parts of lowering share: the model, the steps so far, and the values
 * they have made.
 * @module
 */
import {
  consumersIn,
  index,
  type LinearNode,
  MODALITIES,
  type Node,
  type Phase,
} from "../../graph/node.ts";
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
import { type Form, only, type Segment } from "../form.ts";
import type { GridTable } from "../grids.ts";
import { aligned } from "../place.ts";
import type { StaticModel } from "../../graph/static_model.ts";
import { REGISTER, type Split, type Step } from "../step.ts";
import { quoted } from "../../format/error.ts";
import type { Codes, Floats, NormValue, StreamState, Value } from "./value.ts";

/** A step whose buffers have no address yet. */
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

/** What one list of steps needs beside the model. */
export interface LowerOptions {
  readonly phase: Phase;
  /** Rows at the start of the phase. */
  readonly form: Form;
  readonly threads: number;
  /** Slots of the K/V cache, a multiple of 8. */
  readonly capacity: number;
  /** Most image rows of one chunk. */
  readonly imageRows: number;
  /** Most patches of a picture. */
  readonly patches: number;
  /** Patches stand in the order of windows: patches a side, and how many windows at most. */
  readonly windows?: { readonly side: number; readonly most: number };
  /** Pixel codes: int8 per channel and byte, [3][256], at a given scale. */
  readonly pixelCodes?: (scale: number) => Int8Array;
}

/** A lowered phase. */
export interface Lowered {
  readonly steps: readonly DraftStep[];
  /** First step that is needed for the logits only. */
  readonly tail: number;
  /** Buffers of the arena. */
  readonly arena: readonly Buffer[];
  /** Image rows or logits, float32, row stride `stride` elements. */
  readonly result: { readonly buffer: Buffer; readonly stride: number };
  /** Tables to write for each picture's grid, once buffers have addresses. */
  readonly grids: readonly (() => GridTable)[];
  /** Where image rows enter the text phase. */
  readonly images?: {
    readonly buffer: Buffer;
    readonly stride: number;
    /** The value of the vision phase that they are. */
    readonly x: string;
  };
}

/** Most steps of a phase: a real model has some hundreds. */
const MOST_STEPS = 2 ** 17;

/** A phase being lowered. */
export class Lowering {
  /** Nodes of the phase. */
  readonly nodes: readonly Node[];
  /** Who takes a value in, in any phase. */
  readonly consumers: (id: string) => readonly Node[];
  /** Node by id, of the whole graph. */
  readonly byId: (id: string) => Node;
  /** Steps so far. */
  readonly steps: DraftStep[] = [];
  /** Buffers that live between steps. */
  readonly arena: Buffer[] = [];
  /** Values by node. */
  readonly values = new Map<string, Value>();
  /** Codes by value. */
  readonly codes = new Map<string, Codes>();
  /** Streams by name. */
  readonly streams = new Map<string, StreamState>();
  /** Linears that stand in a product already. */
  readonly emitted = new Set<string>();
  /** First step that only the logits need. */
  tail = Infinity;
  /** Buffers that steps not waited for may still read. */
  readonly open = new Set<Buffer>();
  /** Where image rows come in. */
  images: Lowered["images"];
  readonly #grids = new Map<string, () => GridTable>();

  /** Nothing is lowered yet. */
  constructor(
    readonly model: StaticModel,
    readonly store: Store,
    readonly options: LowerOptions,
  ) {
    this.consumers = consumersIn(model.nodes);
    this.nodes = model.nodes.filter((n) => n.phase === options.phase);
    this.byId = index(model.nodes);
  }

  /** What a model that cannot be planned is refused with. */
  error(problem: string): RuntimeError {
    return new RuntimeError("plan", `Cannot plan the model: ${problem}`);
  }

  /** The value of a node. */
  value(id: string): Value {
    const value = this.values.get(id);
    if (!value) throw this.error(`there is no value ${quoted(id)}`);
    return value;
  }

  /** A buffer of the arena; with `each`, one for each thread. */
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

  /** Float rows of their own. */
  rows(name: string, form: Form, width: number): Floats {
    const stride = roundUp(width, 8);
    const buffer = this.temporary(name, form.most * stride * 4);
    return { kind: "floats", buffer, column: 0, stride, form };
  }

  /** Notes a table that every picture's grid fills, once under its key. */
  grid(key: string, table: () => GridTable): void {
    this.#grids.set(key, table);
  }

  /** Tables so noted. */
  get grids(): readonly (() => GridTable)[] {
    return [...this.#grids.values()];
  }

  /** The form of the rows that a linear makes: those of its modality, where it has one. */
  madeBy(node: LinearNode, form: Form): Form {
    if (node.modality === undefined) return form;
    const key = `${node.modality}`, made = this.#cut.get(form) ?? new Map();
    this.#cut.set(form, made);
    if (!made.has(key)) {
      made.set(key, only(form, MODALITIES.indexOf(node.modality)));
    }
    return made.get(key)!;
  }
  readonly #cut = new Map<Form, Map<string, Form>>();

  /** Adds a step; `rows` · `workPerRow` multiply–adds. */
  emit(
    kernel: Step["kernel"],
    label: string,
    args: readonly Arg[],
    rows: Amount,
    workPerRow: number,
    extra: {
      split?: Split;
      each?: boolean;
      when?: number;
      sync?: boolean;
      memory?: number;
    } = {},
  ): void {
    const at = this.steps.length;
    if (at === MOST_STEPS) {
      throw this.error(`it has more than ${MOST_STEPS} steps`);
    }
    for (const arg of args) {
      if (typeof arg === "object" && "buffer" in arg) {
        arg.buffer.first = Math.min(arg.buffer.first, at);
        arg.buffer.last = Math.max(arg.buffer.last, at);
        this.open.add(arg.buffer);
      }
    }
    if (extra.sync ?? true) this.#closeAt(at);
    this.steps.push({
      kernel,
      label,
      args,
      ...(extra.split ? { split: extra.split } : {}),
      ...(extra.each ? { each: true } : {}),
      ...(extra.when === undefined ? {} : { when: extra.when }),
      ...(extra.memory ? { memory: extra.memory } : {}),
      sync: extra.sync ?? true,
      work: typeof rows === "number"
        ? [rows * workPerRow, 0, 0]
        : [0, rows.register, workPerRow * (rows.scale ?? 1)],
    });
  }

  /**
   * Makes threads meet before a step that writes `buffer`, where a step not
   * waited for may still read it.
   */
  meetBefore(buffer: Buffer): void {
    const last = this.steps.at(-1);
    if (last === undefined || !this.open.has(buffer)) return;
    last.sync = true;
    this.#closeAt(this.steps.length - 1);
  }

  /** Ends the list: behind its last step all threads meet. */
  close(): void {
    this.#closeAt(this.steps.length - 1);
  }

  /** All steps up to `at` are done by all threads there: until then nobody may reuse their buffers. */
  #closeAt(at: number): void {
    for (const b of this.open) b.last = Math.max(b.last, at);
    this.open.clear();
  }

  /** Refuses values whose rows are not those of `form`. */
  expectRows(id: string, form: Form, ...values: readonly Value[]): void {
    if (values.every((v) => v.form === form)) return;
    throw this.error(
      `${quoted(id)} must get the same rows from all its inputs`,
    );
  }

  /** Once per segment; threads wait only behind the last. */
  perSegment(form: Form, emit: (s: Segment, sync: boolean) => void): void {
    form.segments.forEach((s, i) => emit(s, i === form.segments.length - 1));
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

  /** The stream of a read, as it was when the read stood in the graph. */
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
