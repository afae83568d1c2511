/**
 * Lowers a phase of the graph to kernel calls. Each node becomes a value that
 * is written down only when someone needs it, and in the form needed: float
 * rows or int8 codes. That is where fusion comes from: a norm, an activation or
 * a rotation in front of a linear becomes codes in one call.
 * @module
 */
import { quoted } from "../format/error.ts";
import {
  headScale,
  siteScale,
  splitWeight,
  weightScale,
} from "../graph/names.ts";
import {
  type ActNode,
  type AttendNode,
  consumersOf,
  type LinearNode,
  type Node,
  type Phase,
  type ReadNode,
  type ShuffleNode,
  type WriteNode,
} from "../graph/node.ts";
import { ropeTables } from "../graph/rope.ts";
import {
  attendScratchBytes,
  cacheBytes,
  GEMM_SCRATCH_BYTES,
  packHadamard,
  paddedK,
  roundUp,
  rowScratchBytes,
  type WeightBits,
  weightBytes,
} from "../kernels/layout.ts";
import { ACTIVATIONS } from "../kernels/quantize.ts";
import { hadamardMatrix } from "../tensor/hadamard.ts";
import { type Rotation, signsOf } from "../tensor/rotation.ts";
import {
  type Amount,
  type Arg,
  type Buffer,
  type Ref,
  ref,
  type Store,
} from "./buffer.ts";
import { patchCount } from "./check_graph.ts";
import { RuntimeError } from "./error.ts";
import { fixedForm, type Form, packedRows, type Segment } from "./form.ts";
import type { StaticModel } from "./static_model.ts";
import { REGISTER, REGISTERS, type Split, type StepKernel } from "./step.ts";

/** A step whose buffers have no address yet. */
export interface DraftStep {
  readonly kernel: StepKernel;
  readonly label: string;
  readonly args: readonly Arg[];
  readonly split?: Split;
  readonly when?: number;
  readonly sync: boolean;
  readonly work: readonly [number, number, number];
}

/** What one list of steps needs beside the model. */
export interface LowerOptions {
  readonly phase: Phase;
  /** Rows at the start of the phase. */
  readonly form: Form;
  /** Slots of the K/V cache, a multiple of 8. */
  readonly capacity: number;
  /** Most image rows of one chunk. */
  readonly imageRows: number;
  /** Pixel codes: int8 per channel and byte, [3][256], at a given scale. */
  readonly pixelCodes: (scale: number) => Int8Array;
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
  /** Where image rows enter the text phase. */
  readonly images?: { readonly buffer: Buffer; readonly stride: number };
}

/** Float rows. */
interface Floats {
  readonly kind: "floats";
  readonly buffer: Buffer;
  /** First column. */
  readonly column: number;
  /** Elements from row to row. */
  readonly stride: number;
  readonly form: Form;
  /** Only the chunk's last row counts; it is row `last` of the buffer. */
  readonly last?: true;
  /** Channels still to be multiplied by this: no kernel does only that. */
  readonly diagonal?: readonly Diagonal[];
}

/** Signs of a rotation, or a learned gain. */
type Diagonal = { readonly signs: Rotation } | { readonly gain: string };

/** A value: there, or how to get it. */
type Value =
  | Floats
  | {
    readonly kind: "read";
    readonly node: ReadNode;
    readonly version: number;
    readonly form: Form;
    readonly last?: true;
    readonly gain?: string;
  }
  | { readonly kind: "act"; readonly node: ActNode; readonly form: Form }
  | {
    readonly kind: "rotate";
    readonly x: string;
    readonly rotation: Rotation;
    readonly form: Form;
  }
  | { readonly kind: "patches"; readonly form: Form };

/** int8 codes of a value with their row sums. */
interface Codes {
  readonly a: Buffer;
  readonly sums: Buffer;
  readonly kp: number;
  readonly form: Form;
  /** Channel 0 in float, where it goes its own way. */
  readonly outlier?: Buffer;
}

interface StreamState {
  readonly buffer: Buffer;
  readonly stride: number;
  /** Modalities that hold something already. */
  readonly written: Set<number>;
  version: number;
}

const SINGLE = fixedForm(1, 1);

/** Multiply–adds of one step above which it is cut, so that cancelling stays quick. */
const MOST_WORK = 1.5e9;

/** Lowers one phase. */
export function lower(
  model: StaticModel,
  store: Store,
  options: LowerOptions,
): Lowered {
  return new Lowering(model, store, options).run();
}

class Lowering {
  readonly #model: StaticModel;
  readonly #store: Store;
  readonly #options: LowerOptions;
  readonly #nodes: readonly Node[];
  readonly #steps: DraftStep[] = [];
  readonly #arena: Buffer[] = [];
  readonly #values = new Map<string, Value>();
  readonly #codes = new Map<string, Codes>();
  readonly #streams = new Map<string, StreamState>();
  readonly #emitted = new Set<string>();
  #tail = Infinity;
  #images: Lowered["images"];

  constructor(model: StaticModel, store: Store, options: LowerOptions) {
    this.#model = model;
    this.#store = store;
    this.#options = options;
    this.#nodes = model.nodes.filter((n) => n.phase === options.phase);
  }

  run(): Lowered {
    for (const node of this.#nodes) this.#lower(node);
    const result = this.#result();
    return {
      steps: this.#steps,
      tail: Math.min(this.#tail, this.#steps.length),
      arena: this.#arena,
      result,
      ...(this.#images ? { images: this.#images } : {}),
    };
  }

  /** The value a phase is run for; it must outlive all steps. */
  #result(): Lowered["result"] {
    const bridge = this.#model.nodes.find((n) =>
      n.op === "write" && n.phase === "text" && n.rows === "vision"
    ) as WriteNode | undefined;
    const id = this.#options.phase === "text"
      ? this.#nodes.at(-1)!.id
      : bridge?.x;
    if (id === undefined) {
      throw this.#error("the text phase takes in no image rows");
    }
    const value = this.#floats(id);
    if (value.column !== 0) throw this.#error(`${quoted(id)} shares its rows`);
    value.buffer.last = this.#steps.length;
    return { buffer: value.buffer, stride: value.stride };
  }

  #error(problem: string): RuntimeError {
    return new RuntimeError("plan", `Cannot plan the model: ${problem}`);
  }

  #value(id: string): Value {
    const value = this.#values.get(id);
    if (!value) throw this.#error(`there is no value ${quoted(id)}`);
    return value;
  }

  #lower(node: Node): void {
    switch (node.op) {
      case "patches":
        this.#values.set(node.id, {
          kind: "patches",
          form: this.#options.form,
        });
        return;
      case "table":
      case "embed":
        return; // placed by the write that takes it
      case "linear":
        return this.#linear(node);
      case "write":
        return this.#write(node);
      case "read":
        return this.#read(node);
      case "attend":
        this.#values.set(node.id, this.#attend(node));
        return;
      case "act":
        this.#values.set(node.id, {
          kind: "act",
          node,
          form: this.#value(node.x).form,
        });
        return;
      case "rotate":
        return this.#rotate(
          node.id,
          node.x,
          node.rotation,
          node.inverse === true,
        );
      case "gain":
        return this.#gain(node.id, node.x, node.param);
      case "shuffle":
        this.#values.set(node.id, this.#shuffle(node));
        return;
      case "last":
        return this.#last(node.id, node.x);
    }
  }

  // ── buffers and steps ────────────────────────────────────────────────────

  #temporary(name: string, bytes: number): Buffer {
    const buffer: Buffer = {
      name,
      region: "arena",
      bytes,
      at: 0,
      first: Infinity,
      last: -1,
    };
    this.#arena.push(buffer);
    return buffer;
  }

  #rows(name: string, form: Form, width: number): Floats {
    const stride = roundUp(width, 8);
    const buffer = this.#temporary(name, form.most * stride * 4);
    return { kind: "floats", buffer, column: 0, stride, form };
  }

  #emit(
    kernel: StepKernel,
    label: string,
    args: readonly Arg[],
    rows: Amount,
    workPerRow: number,
    extra: { split?: Split; when?: number; sync?: boolean } = {},
  ): void {
    const at = this.#steps.length;
    for (const arg of args) {
      if (typeof arg === "object" && "buffer" in arg) {
        arg.buffer.first = Math.min(arg.buffer.first, at);
        arg.buffer.last = Math.max(arg.buffer.last, at);
      }
    }
    this.#steps.push({
      kernel,
      label,
      args,
      ...(extra.split ? { split: extra.split } : {}),
      ...(extra.when === undefined ? {} : { when: extra.when }),
      sync: extra.sync ?? true,
      work: typeof rows === "number"
        ? [rows * workPerRow, 0, 0]
        : [0, rows.register, workPerRow * (rows.scale ?? 1)],
    });
  }

  /** Once per segment; threads wait only behind the last. */
  #perSegment(form: Form, emit: (s: Segment, sync: boolean) => void): void {
    form.segments.forEach((s, i) => emit(s, i === form.segments.length - 1));
  }

  /** Address of a value's first row, or of the first row of a segment. */
  #pointer(v: Floats, start: Amount = 0): Ref {
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

  // ── constants ────────────────────────────────────────────────────────────

  #signs(r: Rotation): Buffer | undefined {
    if (r.seed === 0) return undefined;
    return this.#diagonal([{ signs: r }]);
  }

  #diagonal(parts: readonly Diagonal[]): Buffer {
    const key = parts.map((d) =>
      "gain" in d ? `gain ${d.gain}` : `signs ${d.signs.n} ${d.signs.seed}`
    ).join(" · ");
    const width = (d: Diagonal) =>
      "gain" in d ? this.#model.file.tensor(d.gain).shape[0] : d.signs.n;
    return this.#store.constant(key, width(parts[0]) * 4, () => {
      const out = new Float32Array(width(parts[0])).fill(1);
      for (const d of parts) {
        const factor = "gain" in d
          ? this.#model.floats(d.gain)
          : signsOf(d.signs);
        for (let i = 0; i < out.length; i++) out[i] *= factor[i];
      }
      return out;
    });
  }

  #matrix(order: number, transposed: boolean): Arg {
    if (order === 1) return 0;
    const key = `hadamard ${order}${transposed ? " transposed" : ""}`;
    return ref(this.#store.constant(key, order * order * 4, () => {
      let m = hadamardMatrix(order);
      if (transposed) {
        const t = new Int8Array(m.length);
        for (let i = 0; i < m.length; i++) {
          t[i] = m[(i % order) * order + Math.floor(i / order)];
        }
        m = t;
      }
      return packHadamard(m, order);
    }));
  }

  #checkRotation(r: Rotation, label: string): void {
    if (r.block / r.order < 4) {
      throw this.#error(
        `${
          quoted(label)
        }: the block of a rotation must be its order times 4 or more: current values are ${r.block} and ${r.order}`,
      );
    }
  }

  // ── values ───────────────────────────────────────────────────────────────

  #read(node: ReadNode): void {
    if (node.norm !== "rms" || node.bias !== undefined) {
      throw this.#error(
        `${
          quoted(node.id)
        } must be an RMS norm without bias; quantize with a recipe that has center-writers and fold-norms`,
      );
    }
    const stream = this.#streams.get(node.stream)!;
    const form = this.#options.form;
    if (stream.written.size < form.segments.length) {
      throw this.#error(`${quoted(node.id)} reads rows that nobody wrote`);
    }
    this.#values.set(node.id, {
      kind: "read",
      node,
      version: stream.version,
      form,
      ...(node.gain === undefined ? {} : { gain: node.gain }),
    });
  }

  #last(id: string, x: string): void {
    if (this.#options.phase !== "text") {
      throw this.#error(`${quoted(id)} must be of the text phase`);
    }
    this.#tail = Math.min(this.#tail, this.#steps.length);
    const v = this.#value(x);
    // A norm works row by row, so taking the last row may come first.
    const from = v.kind === "read" ? v : this.#floats(x);
    const single = this.#options.form.rows === 1;
    this.#values.set(id, {
      ...from,
      form: SINGLE,
      ...(single ? {} : { last: true }),
    });
  }

  #rotate(id: string, x: string, rotation: Rotation, inverse: boolean): void {
    this.#checkRotation(rotation, id);
    const form = this.#value(x).form;
    if (!inverse) {
      this.#values.set(id, { kind: "rotate", x, rotation, form });
      return;
    }
    // Qᵀ = diag(signs)·(M ⊗ S)ᵀ: the transform now, the signs with whoever comes next
    const y = this.#transformed(id, this.#floats(x), rotation, undefined, true);
    this.#values.set(
      id,
      rotation.seed === 0 ? y : { ...y, diagonal: [{ signs: rotation }] },
    );
  }

  #gain(id: string, x: string, param: string): void {
    const v = this.#value(x);
    if (v.kind === "read" && v.gain === undefined) {
      this.#values.set(id, { ...v, gain: param });
      return;
    }
    const f = this.#floats(x, true);
    this.#values.set(id, {
      ...f,
      diagonal: [...(f.diagonal ?? []), { gain: param }],
    });
  }

  /** The value as float rows. */
  #floats(id: string, diagonal = false): Floats {
    const v = this.#value(id);
    let f: Floats;
    switch (v.kind) {
      case "floats":
        f = v;
        break;
      case "read": {
        const stream = this.#current(v, id);
        f = this.#rows(id, v.form, v.node.width);
        this.#emit(
          "rmsnorm_f32",
          id,
          [
            this.#pointer({
              ...f,
              buffer: stream.buffer,
              stride: stream.stride,
              ...(v.last ? { last: true } : {}),
            }),
            stream.stride,
            v.node.eps,
            v.gain === undefined ? 0 : ref(this.#diagonal([{ gain: v.gain }])),
            ref(f.buffer),
            f.stride,
            v.node.width,
            0,
            v.form.rows,
          ],
          v.form.rows,
          v.node.width,
          { split: { lo: 7, hi: 8, unit: 1 } },
        );
        break;
      }
      case "act": {
        const { g, u, stride } = this.#actInputs(v.node);
        f = this.#rows(id, v.form, v.node.width);
        this.#emit(
          "activate_f32",
          id,
          [
            ACTIVATIONS[v.node.fn],
            this.#pointer(g),
            u ? this.#pointer(u) : 0,
            stride,
            ref(f.buffer),
            f.stride,
            v.node.width,
            0,
            v.form.rows,
          ],
          v.form.rows,
          8 * v.node.width,
          { split: { lo: 7, hi: 8, unit: 1 } },
        );
        break;
      }
      case "rotate": {
        const x = this.#floats(v.x, true);
        f = this.#transformed(id, x, v.rotation, x.diagonal, false);
        break;
      }
      case "patches":
        throw this.#error(`${quoted(id)}: pixels can enter a linear only`);
    }
    if (f.diagonal && !diagonal) {
      throw this.#error(
        `${
          quoted(id)
        }: a gain or inverse rotation must be followed by a rotation`,
      );
    }
    this.#values.set(id, f);
    return f;
  }

  /** The stream of a read, as it was when the read stood in the graph. */
  #current(v: Extract<Value, { kind: "read" }>, id: string): StreamState {
    const stream = this.#streams.get(v.node.stream)!;
    if (stream.version !== v.version) {
      throw this.#error(
        `${quoted(id)} is used after its stream was written again`,
      );
    }
    return stream;
  }

  /** x through a rotation in float: a copy, then block after block in place. */
  #transformed(
    id: string,
    x: Floats,
    r: Rotation,
    diagonal: readonly Diagonal[] | undefined,
    inverse: boolean,
  ): Floats {
    const y = this.#rows(id, x.form, r.n);
    const { rows } = x.form;
    this.#emit(
      "copy_f32",
      id,
      [ref(y.buffer), y.stride, this.#pointer(x), x.stride, r.n, 0, rows],
      rows,
      r.n,
      { split: { lo: 5, hi: 6, unit: 1 } },
    );
    const signs = inverse
      ? undefined
      : diagonal
      ? this.#diagonal([...diagonal, { signs: r }])
      : this.#signs(r);
    for (let from = 0; from < r.n; from += r.block) {
      this.#emit(
        "hadamard_f32",
        id,
        [
          ref(y.buffer, from * 4),
          y.stride,
          signs ? ref(signs, from * 4) : 0,
          this.#matrix(r.order, inverse),
          r.order,
          1 / Math.sqrt(r.block),
          r.block,
          0,
          rows,
          { scratch: rowScratchBytes(r.block) },
        ],
        rows,
        r.block * (Math.log2(r.block / r.order) + r.order),
        { split: { lo: 7, hi: 8, unit: 1 }, sync: from + r.block === r.n },
      );
    }
    return y;
  }

  #actInputs(
    node: ActNode,
  ): { g: Floats; u: Floats | undefined; stride: number } {
    const x = this.#floats(node.x);
    if (node.gate === undefined) {
      return { g: x, u: undefined, stride: x.stride };
    }
    const g = this.#floats(node.gate);
    if (g.stride !== x.stride) {
      throw this.#error(
        `${
          quoted(node.id)
        }: gate and x must have the same bits: their rows are ${g.stride} and ${x.stride} apart`,
      );
    }
    return { g, u: x, stride: x.stride };
  }

  // ── codes ────────────────────────────────────────────────────────────────

  /** The value that enters `linear`, as codes on its static scales. */
  #codesFor(linear: LinearNode): Codes {
    const id = linear.x, v = this.#value(id);
    const key = `${id}${linear.split ? " split" : ""}`;
    const known = this.#codes.get(key);
    if (known) return known;
    const scales = this.#model.scales(siteScale(linear));
    const inv = (s: Segment) =>
      1 / scales[Math.min(s.modality, scales.length - 1)];
    const { form } = v, k = linear.k, kp = paddedK(k);
    if (k % 4 !== 0) {
      throw this.#error(
        `${
          quoted(linear.id)
        }: k must be a multiple of 4: current value is ${k}`,
      );
    }
    const packed = roundUp(packedRows(form), form.group);
    const codes: Codes = {
      a: this.#temporary(`${id} codes`, packed * kp),
      sums: this.#temporary(`${id} sums`, packed * 4),
      kp,
      form,
      ...(linear.split
        ? { outlier: this.#temporary(`${id} channel 0`, form.most * 4) }
        : {}),
    };
    this.#codes.set(key, codes);
    const a = (s: Segment) => ref(codes.a, 0, s.packed, kp);
    const sums = (s: Segment) => ref(codes.sums, 0, s.packed, 4);
    const outlier = (s: Segment): Arg =>
      codes.outlier ? ref(codes.outlier, 0, s.start, 4) : 0;
    const rotating = v.kind === "rotate" && v.rotation.block === v.rotation.n;
    if (linear.split && !rotating) {
      throw this.#error(
        `${
          quoted(linear.id)
        }: channel 0 can go its own way only behind a rotation of the whole row`,
      );
    }
    const call = (
      kernel: StepKernel,
      work: number,
      lo: number,
      args: (s: Segment) => readonly Arg[],
    ) =>
      this.#perSegment(
        form,
        (s, sync) =>
          this.#emit(kernel, id, args(s), s.rows, work, {
            ...(form.most > 1
              ? { split: { lo, hi: lo + 1, unit: form.group } }
              : {}),
            ...(s.when === undefined ? {} : { when: s.when }),
            sync,
          }),
      );

    if (v.kind === "read" && v.gain === undefined) {
      const stream = this.#current(v, id);
      call("rmsnorm_f32_s8", 2 * k, 7, (s) => [
        v.last
          ? ref(
            stream.buffer,
            0,
            { register: REGISTER.last },
            stream.stride * 4,
          )
          : ref(stream.buffer, 0, s.start, stream.stride * 4),
        stream.stride,
        v.node.eps,
        inv(s),
        a(s),
        sums(s),
        k,
        0,
        s.rows,
        form.group,
      ]);
    } else if (v.kind === "patches") {
      const { image } = this.#model.info;
      const rows = patchCount(this.#model.info);
      const table = this.#store.constant(
        `pixel codes ${id}`,
        768,
        () => this.#options.pixelCodes(scales[0]),
      );
      const pixels = this.#store.state(
        "pixels",
        image.width * image.height * 3,
      );
      this.#emit(
        "patchify_u8_s8",
        id,
        [
          ref(pixels),
          image.width,
          image.patch,
          ref(table),
          ref(codes.a),
          ref(codes.sums),
          0,
          rows,
          4,
        ],
        rows,
        k,
        { split: { lo: 6, hi: 7, unit: 4 } },
      );
    } else if (v.kind === "act") {
      const { g, u, stride } = this.#actInputs(v.node);
      call("activate_f32_s8", 8 * k, 8, (s) => [
        ACTIVATIONS[v.node.fn],
        this.#pointer(g, s.start),
        u ? this.#pointer(u, s.start) : 0,
        stride,
        inv(s),
        a(s),
        sums(s),
        k,
        0,
        s.rows,
        form.group,
        { scratch: rowScratchBytes(k) },
      ]);
    } else if (rotating) {
      const { rotation: r } = v, inner = this.#value(v.x);
      const scaled = (s: Segment) => inv(s) / Math.sqrt(r.n);
      const work = k * (Math.log2(k / r.order) + r.order);
      if (inner.kind === "act") {
        const { g, u, stride } = this.#actInputs(inner.node);
        const signs = this.#signs(r);
        call("activate_hadamard_f32_s8", work + 8 * k, 12, (s) => [
          ACTIVATIONS[inner.node.fn],
          this.#pointer(g, s.start),
          u ? this.#pointer(u, s.start) : 0,
          stride,
          signs ? ref(signs) : 0,
          this.#matrix(r.order, false),
          r.order,
          scaled(s),
          outlier(s),
          a(s),
          sums(s),
          k,
          0,
          s.rows,
          form.group,
          { scratch: rowScratchBytes(k) },
        ]);
      } else {
        const x = this.#floats(v.x, true);
        const signs = x.diagonal
          ? this.#diagonal([...x.diagonal, { signs: r }])
          : this.#signs(r);
        call("hadamard_f32_s8", work, 10, (s) => [
          this.#pointer(x, s.start),
          x.stride,
          signs ? ref(signs) : 0,
          this.#matrix(r.order, false),
          r.order,
          scaled(s),
          outlier(s),
          a(s),
          sums(s),
          k,
          0,
          s.rows,
          form.group,
          { scratch: rowScratchBytes(k) },
        ]);
      }
    } else {
      const x = this.#floats(id);
      call("quantize_f32_s8", k, 6, (s) => [
        this.#pointer(x, s.start),
        x.stride,
        inv(s),
        a(s),
        sums(s),
        k,
        0,
        s.rows,
        form.group,
      ]);
    }
    return codes;
  }

  // ── products ─────────────────────────────────────────────────────────────

  /** The write that takes a linear's output and nothing else does. */
  #fusedWrite(node: LinearNode): WriteNode | undefined {
    const users = consumersOf(this.#model.nodes, node.id);
    const only = users.length === 1 ? users[0] : undefined;
    return only?.op === "write" && only.phase === node.phase &&
        only.rows === undefined
      ? only
      : undefined;
  }

  #bits(node: LinearNode): WeightBits {
    return this.#model.bits.get(node.weight) as WeightBits;
  }

  #linear(node: LinearNode): void {
    if (this.#emitted.has(node.id)) return;
    const codes = this.#codesFor(node);
    if (this.#fusedWrite(node)) return; // the write runs it
    const group = node.split
      ? [node]
      : this.#nodes.filter((n) =>
        n.op === "linear" && n.x === node.x && !n.split &&
        this.#bits(n) === this.#bits(node) && !this.#fusedWrite(n)
      ) as LinearNode[];
    const width = group.reduce((sum, n) => sum + roundUp(n.n, 8), 0);
    const out = this.#rows(group.map((n) => n.id).join("+"), codes.form, width);
    this.#product(group, codes, out, () => 0);
    let column = 0;
    for (const n of group) {
      this.#values.set(n.id, { ...out, column });
      this.#emitted.add(n.id);
      column += roundUp(n.n, 8);
    }
  }

  /** One product with the weights of `group` side by side. */
  #product(
    group: readonly LinearNode[],
    codes: Codes,
    out: Pick<Floats, "buffer" | "stride">,
    accumulate: (modality: number) => 0 | 1,
  ): void {
    const [first] = group, bits = this.#bits(first), { form, kp } = codes;
    const label = group.map((n) => n.id).join("+");
    const width = group.reduce((sum, n) => sum + roundUp(n.n, 8), 0);
    let offset = 0;
    const parts = group.map((n) => {
      const part = { tensor: n.weight, n: n.n, k: n.k, offset };
      offset += weightBytes(bits, n.n, n.k);
      return part;
    });
    const weights = this.#store.weight(
      `panels ${group.map((n) => n.weight).join("+")}`,
      offset,
      { kind: "panels", bits, parts },
    );
    const column = (
      key: string,
      values: (n: LinearNode) => Float32Array | undefined,
    ) =>
      this.#store.constant(`${key} ${label}`, width * 4, () => {
        const all = new Float32Array(width);
        let at = 0;
        for (const n of group) {
          const v = values(n);
          if (v) all.set(v, at);
          at += roundUp(n.n, 8);
        }
        return all;
      });
    const bias = group.some((n) => n.bias !== undefined)
      ? column(
        "bias",
        (n) => n.bias === undefined ? undefined : this.#model.floats(n.bias),
      )
      : this.#store.constant(
        `zeros ${width}`,
        width * 4,
        () => new Float32Array(width),
      );
    const alpha = (modality: number) =>
      column(`alpha ${modality}`, (n) => {
        const scales = this.#model.scales(siteScale(n));
        const s = scales[Math.min(modality, scales.length - 1)];
        return this.#model.scales(weightScale(n.weight)).map((w) => s * w);
      });
    const pieces = Math.ceil(form.most * kp * width / MOST_WORK);
    const step = roundUp(Math.ceil(width / pieces), 8);
    for (let n0 = 0; n0 < width; n0 += step) {
      const n1 = Math.min(width, n0 + step);
      this.#perSegment(form, (s, sync) => {
        const y = ref(out.buffer, 0, s.start, out.stride * 4);
        const a = ref(codes.a, 0, s.packed, kp);
        const sums = ref(codes.sums, 0, s.packed, 4);
        const when = s.when === undefined ? {} : { when: s.when };
        const add = accumulate(s.modality);
        if (form.group === 1) {
          this.#emit(
            `gemv_w${bits}a8`,
            label,
            [
              a,
              sums,
              ref(weights),
              ref(alpha(s.modality)),
              ref(bias),
              y,
              kp,
              n0,
              n1,
              add,
            ],
            1,
            kp * (n1 - n0),
            { split: { lo: 7, hi: 8, unit: 8 }, sync, ...when },
          );
        } else {
          this.#emit(
            `gemm_w${bits}a8`,
            label,
            [
              a,
              sums,
              ref(weights),
              ref(alpha(s.modality)),
              ref(bias),
              y,
              s.rows,
              kp,
              out.stride,
              n0,
              n1,
              { scratch: GEMM_SCRATCH_BYTES },
              add,
            ],
            s.rows,
            kp * (n1 - n0),
            { split: { lo: 9, hi: 10, unit: 8 }, sync, ...when },
          );
        }
      });
    }
    if (codes.outlier) this.#rank1(first, codes, codes.outlier, out, width);
  }

  /** y += x₀·w₀ᵀ: the channel that Rotation Magnitude Suppression split off. */
  #rank1(
    node: LinearNode,
    codes: Codes,
    outlier: Buffer,
    out: Pick<Floats, "buffer" | "stride">,
    width: number,
  ): void {
    const w0 = this.#store.constant(`split ${node.id}`, width * 4, () => {
      const all = new Float32Array(width), root = Math.sqrt(node.k);
      all.set(this.#model.floats(splitWeight(node)).map((w) => w / root)); // x₀ comes unnormalised
      return all;
    });
    this.#perSegment(codes.form, (s, sync) =>
      this.#emit(
        "rank1_f32",
        node.id,
        [
          ref(out.buffer, 0, s.start, out.stride * 4),
          ref(outlier, 0, s.start, 4),
          ref(w0),
          s.rows,
          0,
          width,
          out.stride,
        ],
        s.rows,
        width,
        {
          split: { lo: 4, hi: 5, unit: 8 },
          sync,
          ...(s.when === undefined ? {} : { when: s.when }),
        },
      ));
  }

  // ── streams ──────────────────────────────────────────────────────────────

  #stream(name: string, width: number): StreamState {
    let stream = this.#streams.get(name);
    if (!stream) {
      const { buffer, stride } = this.#rows(
        `stream ${name}`,
        this.#options.form,
        width,
      );
      stream = { buffer, stride, written: new Set(), version: 0 };
      this.#streams.set(name, stream);
    }
    return stream;
  }

  #write(node: WriteNode): void {
    const x = this.#model.nodes.find((n) => n.id === node.x)!;
    const { form } = this.#options;
    if (x.op === "linear" && this.#fusedWrite(x) === node) {
      const stream = this.#stream(node.stream, x.n);
      const codes = this.#codesFor(x);
      if (codes.form !== form) {
        throw this.#error(
          `${quoted(node.id)} must add as many rows as its stream has`,
        );
      }
      this.#product([x], codes, stream, (m) => stream.written.has(m) ? 1 : 0);
      return this.#wrote(stream, form.segments);
    }
    const wanted = node.rows === undefined
      ? undefined
      : node.rows === "vision"
      ? 0
      : 1;
    const segments = form.segments.filter((s) =>
      wanted === undefined || s.modality === wanted
    );
    const source = this.#source(x, node);
    const stream = this.#stream(node.stream, source.width);
    for (const s of segments) {
      const add = stream.written.has(s.modality);
      const to = ref(stream.buffer, 0, s.start, stream.stride * 4);
      const when = s.when === undefined ? {} : { when: s.when };
      if ("embed" in source && !add) {
        this.#emit(
          "embed_w8_f32",
          x.id,
          [
            ref(source.embed),
            ref(source.scale),
            ref(source.ids),
            to,
            stream.stride,
            source.width,
            0,
            s.rows,
          ],
          s.rows,
          source.width,
          { split: { lo: 6, hi: 7, unit: 1 }, ...when },
        );
        continue;
      }
      if ("embed" in source) {
        throw this.#error(
          `${quoted(node.id)}: embeddings must come first in their stream`,
        );
      }
      const start = wanted === undefined ? s.start : 0; // rows of one modality stand alone in x
      this.#emit(
        add ? "add_f32" : "copy_f32",
        x.id,
        [
          to,
          stream.stride,
          ref(source.buffer, source.column * 4, start, source.stride * 4),
          source.stride,
          source.width,
          0,
          s.rows,
        ],
        s.rows,
        source.width,
        { split: { lo: 5, hi: 6, unit: 1 }, ...when },
      );
    }
    this.#wrote(stream, segments);
  }

  #wrote(stream: StreamState, segments: readonly Segment[]): void {
    for (const s of segments) stream.written.add(s.modality);
    stream.version++;
  }

  /** Rows to be added: a table, embeddings, image rows, or a value of this phase. */
  #source(x: Node, write: WriteNode):
    | { embed: Buffer; scale: Buffer; ids: Buffer; width: number }
    | { buffer: Buffer; column: number; stride: number; width: number } {
    const { form } = this.#options;
    if (x.op === "embed") {
      const { vocabulary } = this.#model.info;
      return {
        embed: this.#store.weight(`table ${x.param}`, vocabulary * x.width, {
          kind: "raw",
          tensor: x.param,
        }),
        scale: this.#store.constant(
          `scale ${x.param}`,
          vocabulary * 4,
          () => this.#model.scales(weightScale(x.param)),
        ),
        ids: this.#store.state("ids", form.most * 4),
        width: x.width,
      };
    }
    if (x.op === "table") {
      if (x.phase !== "vision") {
        throw this.#error(
          `${quoted(x.id)}: tables are known in the vision phase only`,
        );
      }
      const bytes = form.most * x.width * 4;
      const buffer = this.#store.constant(
        `table ${x.param}`,
        bytes,
        () => this.#model.floats(x.param),
      );
      return { buffer, column: 0, stride: x.width, width: x.width };
    }
    if (x.phase !== write.phase) {
      const width = (x as { n?: number }).n;
      if (x.op !== "linear" || width === undefined) {
        throw this.#error(
          `${quoted(x.id)}: image rows must come from a linear`,
        );
      }
      const stride = roundUp(width, 8);
      const buffer = this.#temporary(
        "image rows",
        this.#options.imageRows * stride * 4,
      );
      buffer.first = 0;
      this.#images = { buffer, stride };
      return { buffer, column: 0, stride, width };
    }
    const v = this.#floats(x.id);
    return {
      ...v,
      width: (x as { n?: number; width?: number }).n ??
        (x as { width: number }).width,
    };
  }

  // ── attention and rows ───────────────────────────────────────────────────

  #attend(node: AttendNode): Floats {
    const { heads, kvHeads, headDim: d, id } = node;
    const text = this.#options.phase === "text";
    if (
      (node.mask === "causal") !== text || (!text && node.theta !== undefined)
    ) {
      throw this.#error(
        `${
          quoted(id)
        }: attention must be causal in the text phase, and full without rotary embedding in the vision phase`,
      );
    }
    if (d % 8 !== 0) {
      throw this.#error(
        `${quoted(id)}: headDim must be a multiple of 8: current value is ${d}`,
      );
    }
    const [q, k, v] = [node.q, node.k, node.v].map((x) => this.#floats(x));
    const { form } = q, { capacity } = this.#options;
    const slots = text ? capacity : roundUp(form.most, 8);
    const bytes = cacheBytes(kvHeads, slots, d);
    const cache = (part: string) =>
      text
        ? this.#store.cache(`${id} ${part}`, bytes)
        : this.#temporary(`${id} ${part}`, bytes);
    const keys = cache("keys"), values = cache("values");
    const codes = this.#temporary(`${id} query codes`, form.most * heads * d);
    const vectors = (part: "q" | "k" | "v") =>
      this.#model.scales(headScale(node, part));
    const inverse = (part: "q" | "k" | "v", n: number) =>
      ref(
        this.#store.constant(`1/scale ${id} ${part}`, n * 4, () =>
          vectors(part).map((s) =>
            1 / s
          )),
      );
    let cos: Arg = 0, sin: Arg = 0, positions: Arg = 0;
    if (text) {
      positions = ref(this.#order(), 0, { register: REGISTER.slot }, 4);
    }
    if (node.theta !== undefined) {
      const { theta } = node, size = capacity * d / 2 * 4;
      const table = (part: "cos" | "sin") =>
        ref(
          this.#store.constant(`${part} ${theta} ${d}`, size, () =>
            ropeTables(theta, d, capacity)[part]),
        );
      cos = table("cos"), sin = table("sin");
    }
    const slot: Arg = text ? { register: REGISTER.slot } : 0;
    const { rows } = form;
    const share = form.most > 1
      ? (lo: number) => ({ split: { lo, hi: lo + 1, unit: 1 } })
      : () => ({});
    this.#emit(
      "queries_f32_s8",
      id,
      [
        this.#pointer(q),
        q.stride,
        positions,
        cos,
        sin,
        inverse("q", heads),
        ref(codes),
        0,
        rows,
        heads,
        d,
      ],
      rows,
      4 * heads * d,
      { ...share(7), sync: false },
    );
    this.#emit(
      "keys_f32_s8",
      id,
      [
        this.#pointer(k),
        k.stride,
        positions,
        cos,
        sin,
        inverse("k", kvHeads),
        ref(keys),
        slots,
        slot,
        0,
        rows,
        kvHeads,
        d,
      ],
      rows,
      4 * kvHeads * d,
      { ...share(9), sync: false },
    );
    this.#emit(
      "values_f32_s8",
      id,
      [
        this.#pointer(v),
        v.stride,
        inverse("v", kvHeads),
        ref(values),
        slots,
        slot,
        0,
        rows,
        kvHeads,
        d,
      ],
      rows,
      4 * kvHeads * d,
      share(6),
    );

    const y = this.#rows(id, form, heads * d);
    const score = this.#store.constant(`score scale ${id}`, heads * 4, () => {
      const qs = vectors("q"), ks = vectors("k"), group = heads / kvHeads;
      return qs.map((s, h) => s * ks[Math.floor(h / group)] / Math.sqrt(d));
    });
    const value = this.#store.constant(
      `value scale ${id}`,
      kvHeads * 4,
      () => vectors("v"),
    );
    const one = form.most === 1;
    const masked = text && !one;
    const most = text ? capacity : form.most;
    const items: Amount = one || !text
      ? kvHeads * Math.ceil(form.most * (heads / kvHeads) / 4)
      : { register: quadRegister(heads / kvHeads), scale: kvHeads };
    this.#emit(
      "attend_s8",
      id,
      [
        ref(codes),
        ref(keys),
        ref(values),
        ref(y.buffer),
        y.stride,
        ref(score),
        ref(value),
        masked ? positions : 0,
        masked ? ref(this.#order()) : 0,
        rows,
        text ? { register: REGISTER.keys } : form.most,
        slots,
        heads,
        kvHeads,
        d,
        0,
        items,
        { scratch: attendScratchBytes(most, d) },
      ],
      rows,
      heads * d * most, // half of it: causal
      { split: { lo: 15, hi: 16, unit: 1 } },
    );
    return y;
  }

  /** Original position of every cached token, in cache order. */
  #order(): Buffer {
    return this.#store.state("order", this.#options.capacity * 4);
  }

  #shuffle(node: ShuffleNode): Floats {
    if (this.#options.phase !== "vision") {
      throw this.#error(`${quoted(node.id)} must be of the vision phase`);
    }
    let x = this.#floats(node.x);
    const rows = x.form.most, grid = Math.sqrt(rows);
    if (
      grid % node.factor !== 0 || !Number.isInteger(grid) ||
      node.width % 4 !== 0
    ) {
      throw this.#error(
        `${
          quoted(node.id)
        }: patches must form a square whose side is a multiple of ${node.factor}: there are ${rows}`,
      );
    }
    if (x.stride !== node.width || x.column !== 0) {
      const dense: Floats = {
        ...x,
        buffer: this.#temporary(`${node.id} dense`, rows * node.width * 4),
        column: 0,
        stride: node.width,
      };
      this.#emit(
        "copy_f32",
        node.id,
        [
          ref(dense.buffer),
          node.width,
          this.#pointer(x),
          x.stride,
          node.width,
          0,
          rows,
        ],
        rows,
        node.width,
        { split: { lo: 5, hi: 6, unit: 1 } },
      );
      x = dense;
    }
    const form = fixedForm(rows / node.factor ** 2, 0),
      wide = node.width * node.factor ** 2;
    const buffer = this.#temporary(node.id, form.most * wide * 4);
    this.#emit(
      "pixel_shuffle_f32",
      node.id,
      [
        ref(x.buffer),
        ref(buffer),
        grid,
        node.width,
        node.factor,
        0,
        form.rows,
      ],
      form.rows,
      wide,
      { split: { lo: 5, hi: 6, unit: 1 } },
    );
    return { kind: "floats", buffer, column: 0, stride: wide, form };
  }
}

/** Register that holds ceil(rows · ratio / 4), the attention items per kv head. */
export function quadRegister(ratio: number): number {
  return REGISTERS.length - 1 + ratio;
}
