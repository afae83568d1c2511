/**
 * Runs a graph in float, in the natural order of tokens: the truth beside the
 * kernels, and with hooks the observer of calibration and GPTQ. A batch is many
 * images, or many sequences, side by side as rows; only attention looks at
 * where one ends.
 * @module
 */
import { rotate, unrotate } from "../tensor/rotation.ts";
import { sizeOf } from "../tensor/tensor.ts";
import { ACTIVATIONS } from "./activation.ts";
import { attendHeads } from "./attention.ts";
import type { Executor, Floats } from "./executor.ts";
import { type Grid, gridRows, mergeOf, ownGrid, patchesIn } from "./grid.ts";
import { windowsOf } from "./windows.ts";
import {
  type AttentionNode,
  type CausalConv1dNode,
  extraRows,
  fixedRows,
  imageInfoOf,
  index,
  inputsOf,
  type LearnedEmbeddingNode,
  type LinearNode,
  logitsOf,
  MODALITIES,
  type Modality,
  modalityOf,
  type Model,
  type Node,
  paramsOf,
  type Phase,
  widthOf,
} from "./node.ts";
import {
  newPositionCounter,
  type PositionCounter,
  type PositionId,
  positionIds,
} from "./position_ids.ts";
import {
  mropeAxes,
  positionTables,
  rope2dTables,
  type RopeTables,
  ropeTables,
} from "./rope.ts";
import { maskEnds } from "./attention_mask.ts";

/** What a watcher may see and replace while a graph runs. `modality` has one entry per row: 0 vision, 1 text. */
export interface Hooks {
  /** Run `last` as if every row were the last: calibration and perplexity want all rows of the head. */
  readonly everyRow?: boolean;
  /** Leave the head's product out: calibration wants what enters it, not the logits. */
  readonly headless?: boolean;
  /** The value entering the linears that share an input; called once per value. Returns what they shall see. */
  input?(node: LinearNode, x: Floats, modality: Uint8Array): Floats;
  /**
   * The weight [n, k] a linear shall use, having seen (replaced) input x;
   * undefined keeps it. Of several each gets an equal share of the rows, in order.
   */
  weight?(node: LinearNode, x: Floats, modality: Uint8Array):
    | Floats
    | readonly Floats[]
    | undefined;
  /** q, k (after the rotary embedding) and v entering attention. */
  heads?(
    node: AttentionNode,
    part: "q" | "k" | "v",
    x: Floats,
    modality: Uint8Array,
  ): Floats;
}

/** A model with its parameters loaded for one executor. */
export interface Loaded {
  readonly model: Model;
  readonly executor: Executor;
  /** Parameter by name, in the executor's precision. */
  param(name: string): Floats;
  /** Keys and values of the tokens in front of every sequence, `info.prefix`. */
  readonly prefix?: Prefix;
}

/** Keys (after the rotary embedding) and values of tokens, by attention node: [tokens, kvHeads·headDim] each. */
export type Prefix = Map<string, { k: Floats; v: Floats }>;

/** Keys and values of the tokens a sequence has seen, per attention node. */
export interface Sequence {
  /** Tokens seen, those in front included. */
  length: number;
  /** Where its next token stands. */
  readonly at: PositionCounter;
  /** Grids of its images; the tower's own where none are noted. */
  readonly grids: Grid[];
  readonly cache: Prefix;
  /** The last values that entered each convolution, [taps − 1, width]. */
  readonly past: Map<string, Floats>;
}

/** New tokens of one sequence, and the image rows its image tokens stand for. */
export interface Chunk {
  readonly sequence: Sequence;
  readonly ids: ArrayLike<number>;
  readonly image?: Floats | undefined;
  /** Grids of the images, where they are not of the tower's own size. */
  readonly grids?: readonly Grid[];
}

/** Tokens in front of every sequence. */
function ahead({ model, prefix }: Loaded): number {
  return prefix ? model.info.prefix?.length ?? 0 : 0;
}

/** An empty sequence. */
export function newSequence(): Sequence {
  return {
    length: 0,
    at: newPositionCounter(),
    grids: [],
    cache: new Map(),
    past: new Map(),
  };
}

/** Bytes of parameters that `load` keeps where nothing else is said. */
const KEEP = 2 ** 31;

/**
 * Reads each parameter when it is first needed and keeps it. Of a model larger
 * than `keep` bytes only the text phase is kept, which runs once per token, as
 * far as they reach; the rest is read again whenever it is needed.
 */
export function load(
  model: Model,
  executor: Executor,
  keep = KEEP,
): Loaded {
  const loaded = new Map<string, Floats>();
  const each = executor.zeros(1).BYTES_PER_ELEMENT;
  const bytesOf = (name: string) =>
    each * sizeOf(model.params.get(name)?.shape ?? [0]);
  const namesIn = (nodes: readonly Node[]) => new Set(nodes.flatMap(paramsOf));
  let left = keep, wanted = namesIn(model.nodes);
  let size = 0;
  for (const name of wanted) size += bytesOf(name);
  if (size > keep) {
    wanted = namesIn(model.nodes.filter((n) => n.phase === "text"));
  }
  return {
    model,
    executor,
    param(name) {
      const known = loaded.get(name);
      if (known) return known;
      const tensor = model.params.get(name);
      if (!tensor) throw new RangeError(`Cannot find parameter "${name}"`);
      const values = executor.load(tensor);
      if (wanted.has(name) && values.byteLength <= left) {
        left -= values.byteLength;
        loaded.set(name, values);
      }
      return values;
    },
  };
}

/**
 * Vision phase.
 * @param patches normalised pixels of all images, [patches, channels·patch²]
 * @param grids of the images; as many of the tower's own as there are where left out
 * @returns rows for the text stream, [image tokens, width]
 */
export function runVision(
  loaded: Loaded,
  patches: Floats,
  hooks: Hooks = {},
  grids?: readonly Grid[],
): Floats {
  const first = loaded.model.nodes.find((n) => n.op === "patch_input");
  if (first?.op !== "patch_input") {
    throw new RangeError("Cannot run the vision phase: the graph has no image");
  }
  const { nodes, info } = loaded.model, own = ownGrid(imageInfoOf(info));
  const images = patches.length / first.width / patchesIn(own);
  grids ??= Array.from({ length: images }, () => own);
  const values = new Map<string, Floats>([[first.id, patches]]);
  let start = 0;
  const shared = new Map<string, Map<string, RopeTables>>(); // images of one grid stand the same way
  const segments = grids.map((grid): Segment => {
    const count = patchesIn(grid) + extraRows(nodes);
    const key = `${grid.rows} × ${grid.cols}`;
    const tables = shared.get(key) ?? new Map();
    shared.set(key, tables);
    start += count;
    return { start: start - count, count, grid, tables };
  });
  const run: Run = {
    loaded,
    hooks,
    values,
    segments,
    modality: new Uint8Array(start),
  };
  return step("vision", run)!;
}

/**
 * Text phase.
 * @returns logits of the last token of each chunk, [chunks, vocabulary]; of every row with `everyRow`
 */
export function runText(
  loaded: Loaded,
  chunks: readonly Chunk[],
  hooks: Hooks = {},
): Floats {
  const { model, executor } = loaded;
  const ids = chunks.flatMap((c) => Array.from(c.ids));
  const modality = Uint8Array.from(
    ids,
    (id) => id === model.info.image?.tokenId ? 0 : 1,
  );
  const values = new Map<string, Floats>();
  const imageRows = chunks.flatMap((c) => (c.image ? [c.image] : []));
  const bridge = model.nodes.find((n) =>
    n.op === "residual_add" && n.modality === "vision"
  );
  if (bridge?.op === "residual_add" && imageRows.length > 0) {
    const all = executor.zeros(imageRows.reduce((a, r) => a + r.length, 0));
    let at = 0;
    for (const r of imageRows) all.set(r, at), at += r.length;
    values.set(bridge.x, all);
  }
  let start = 0;
  const segments = chunks.map((c) => {
    const { at, grids } = c.sequence;
    if (c.sequence.length === 0) at.next = c.sequence.length = ahead(loaded);
    grids.push(...c.grids ?? []);
    const segment = {
      start,
      count: c.ids.length,
      sequence: c.sequence,
      places: positionIds(at, c.ids, model.info, grids),
      sight: maskEnds(c.ids, model.info.image),
      tables: new Map(),
    };
    start += c.ids.length;
    return segment;
  });
  const run: Run = { loaded, hooks, values, segments, modality, ids };
  const logits = step("text", run)!;
  for (const c of chunks) c.sequence.length += c.ids.length;
  return logits;
}

interface Rows {
  readonly start: number;
  readonly count: number;
}

interface Segment extends Rows {
  /** Of the image, in the vision phase. */
  readonly grid?: Grid;
  readonly sequence?: Sequence;
  readonly places?: readonly PositionId[];
  /** Last row of the chunk that each sees, in the text phase. */
  readonly sight?: Int32Array;
  /** Rotary tables of its rows, by what makes them. */
  readonly tables: Map<string, RopeTables>;
}

interface Run {
  readonly loaded: Loaded;
  readonly hooks: Hooks;
  readonly values: Map<string, Floats>;
  readonly segments: readonly Segment[];
  modality: Uint8Array;
  readonly ids?: readonly number[];
}

/** What a linear makes of its rows, each weight of an equal share of them. */
function product(
  { matmul, zeros }: Executor,
  x: Floats,
  { k, n }: LinearNode,
  weights: readonly Floats[],
  bias: Floats | undefined,
): Floats {
  if (x.length === 0) return zeros(0); // a modality that the chunk has not
  const m = x.length / k / weights.length;
  if (weights.length === 1) return matmul(x, m, k, weights[0], n, bias);
  const y = zeros(m * n * weights.length);
  for (const [i, weight] of weights.entries()) {
    const rows = x.subarray(i * m * k, (i + 1) * m * k);
    y.set(matmul(rows, m, k, weight, n, bias), i * m * n);
  }
  return y;
}

/** Walks the nodes of a phase; returns the last value made. */
function step(phase: Phase, run: Run): Floats | undefined {
  const { loaded, hooks, values } = run;
  const { model, executor } = loaded;
  const streams = new Map<string, Floats>();
  const sited = new Map<string, Floats>();
  const nodes = model.nodes.filter((n) => n.phase === phase);
  const lastUse = new Map<string, number>();
  nodes.forEach((n, i) => inputsOf(n).forEach((id) => lastUse.set(id, i)));
  const byId = index(model.nodes);
  let value: Floats | undefined;
  for (const [at, node] of nodes.entries()) {
    const rows = run.modality.length;
    const x = (id: string): Floats => {
      const v = values.get(id);
      if (!v) throw new RangeError(`Cannot run "${node.id}": no value "${id}"`);
      return v;
    };
    switch (node.op) {
      case "patch_input":
        continue;
      case "learned_embedding":
        value = tableRows(run, node);
        break;
      case "embedding": {
        const table = loaded.param(node.weight);
        const text = run.ids!.filter((id) => id !== model.info.image?.tokenId);
        value = executor.zeros(text.length * node.width);
        for (const [i, id] of text.entries()) {
          value.set(
            table.subarray(id * node.width, (id + 1) * node.width),
            i * node.width,
          );
        }
        break;
      }
      case "linear": {
        const own = modalityOf(byId(node.x), byId);
        // Rows change within the vision phase, and are all of an image there.
        const modality = (rows: number, only = own) =>
          phase === "vision" || only !== undefined
            ? new Uint8Array(rows).fill(
              only === undefined ? 0 : MODALITIES.indexOf(only),
            )
            : run.modality;
        let input = sited.get(node.x);
        if (!input) {
          input = x(node.x);
          if (hooks.input) {
            input = hooks.input(node, input, modality(input.length / node.k));
          }
          sited.set(node.x, input);
        }
        if (node.modality !== undefined && own === undefined) {
          input = rowsOfModality(run, input, node.k, node.modality);
        }
        const weight = hooks.weight?.(
          node,
          input,
          modality(input.length / node.k, node.modality),
        ) ?? loaded.param(node.weight);
        if (hooks.headless && node === model.nodes.at(-1)) break;
        value = product(
          executor,
          input,
          node,
          Array.isArray(weight) ? weight : [weight],
          node.bias === undefined ? undefined : loaded.param(node.bias),
        );
        break;
      }
      case "residual_add": {
        const given = values.get(node.x) ?? executor.zeros(0);
        const v = node.columns
          ? columns(executor, given, widthOf(byId(node.x), byId)!, node.columns)
          : given;
        const width = streamWidth(model, node.stream);
        // In the vision phase what comes first says how many rows there are.
        const stream = streams.get(node.stream) ??
          executor.zeros(phase === "vision" ? v.length : rows * width);
        streams.set(node.stream, stream);
        if (node.modality === undefined) {
          addRows(stream, v, run.segments.length);
        } else {
          const wanted = node.modality === "vision" ? 0 : 1;
          let from = 0;
          for (let row = 0; row < rows; row++) {
            if (run.modality[row] !== wanted) continue;
            for (let c = 0; c < width; c++) {
              stream[row * width + c] += v[from++];
            }
          }
          if (from !== v.length) {
            throw new RangeError(
              `Cannot place ${
                v.length / width
              } ${node.modality} rows: the prompt has ${
                from / width
              } places for them`,
            );
          }
        }
        value = undefined;
        break;
      }
      case "norm":
        value = normalise(
          executor,
          streams.get(node.stream)!,
          node.width,
          node.kind,
          node.eps,
          node.weight && loaded.param(node.weight),
          node.bias && loaded.param(node.bias),
        );
        break;
      case "concat_features":
        value = sideBySide(
          executor,
          node.xs.map(x),
          node.xs.map((id) => widthOf(byId(id), byId)!),
        );
        break;
      case "concat_rows":
        value = stacked(
          executor,
          node.xs.map(x),
          run.segments.length,
        );
        break;
      case "residual_read":
        value = streams.get(node.stream)!.slice();
        break;
      case "attention":
        value = attend(run, node, x(node.q), x(node.k), x(node.v));
        break;
      case "causal_conv1d": {
        const gate = (id?: string) => id === undefined ? undefined : x(id);
        value = convolve(
          run,
          node,
          x(node.x),
          gate(node.inputGate),
          gate(node.outputGate),
        );
        break;
      }
      case "activation": {
        const fn = ACTIVATIONS[node.fn], v = x(node.x);
        value = executor.zeros(v.length);
        if (node.gate === undefined) {
          for (let i = 0; i < v.length; i++) value[i] = fn(v[i]);
        } else {
          const gate = x(node.gate);
          for (let i = 0; i < v.length; i++) value[i] = fn(gate[i]) * v[i];
        }
        break;
      }
      case "hadamard":
        value = x(node.x).slice();
        (node.inverse ? unrotate : rotate)(value, node.rotation);
        break;
      case "qk_norm":
        value = normalise(
          executor,
          x(node.x),
          node.headDim,
          "rms",
          node.eps,
          loaded.param(node.weight),
          undefined,
        );
        break;
      case "channel_scale": {
        const v = x(node.x), gain = loaded.param(node.weight);
        value = executor.zeros(v.length);
        for (let i = 0; i < v.length; i++) {
          value[i] = v[i] * gain[i % node.width];
        }
        break;
      }
      case "pixel_shuffle":
        value = shuffle(
          executor,
          x(node.x),
          node.width,
          node.factor,
          run.segments,
        );
        break;
      case "slice_rows":
        value = take(
          executor,
          x(node.x),
          widthOf(byId(node.x), byId)!,
          node.count,
          run.segments.length,
        );
        break;
      case "last_row": {
        const v = x(node.x), width = v.length / rows;
        if (hooks.everyRow) {
          value = v;
          break;
        }
        const ends = run.segments.map((s) => s.start + s.count - 1);
        value = executor.zeros(ends.length * width);
        ends.forEach((row, i) =>
          value!.set(v.subarray(row * width, (row + 1) * width), i * width)
        );
        run.modality = Uint8Array.from(ends, (row) => run.modality[row]);
        break;
      }
    }
    if (value) values.set(node.id, value);
    for (const id of inputsOf(node)) {
      if (lastUse.get(id) === at) values.delete(id), sited.delete(id);
    }
  }
  if (phase === "text") logitsOf(model.nodes);
  return value;
}

function streamWidth(model: Model, name: string): number {
  for (const n of model.nodes) {
    if ((n.op === "norm" || n.op === "residual_read") && n.stream === name) {
      return n.width;
    }
  }
  throw new RangeError(`Cannot run stream "${name}": nobody reads it`);
}

/** Rows of a table for each image. */
function tableRows(
  { loaded, segments }: Run,
  node: LearnedEmbeddingNode,
): Floats {
  const { weight, width, gridSize, rows, interpolation } = node,
    table = loaded.param(weight);
  const counts = segments.map((s) => rows ?? s.count);
  const out = loaded.executor.zeros(counts.reduce((a, b) => a + b) * width);
  let at = 0;
  for (const [i, { grid }] of segments.entries()) {
    const part = out.subarray(at, at += counts[i] * width);
    if (gridSize === undefined) part.set(table);
    else gridRows(table, { gridSize, interpolation }, width, grid!, part);
  }
  return out;
}

function normalise(
  executor: Executor,
  x: Floats,
  width: number,
  norm: "layer" | "rms",
  eps: number,
  gain: Floats | undefined | "",
  bias: Floats | undefined | "",
): Floats {
  const y = executor.zeros(x.length);
  for (let row = 0; row < x.length; row += width) {
    let mean = 0, square = 0;
    if (norm === "layer") {
      for (let i = 0; i < width; i++) mean += x[row + i];
      mean /= width;
    }
    for (let i = 0; i < width; i++) square += (x[row + i] - mean) ** 2;
    const r = 1 / Math.sqrt(square / width + eps);
    for (let i = 0; i < width; i++) {
      y[row + i] = (x[row + i] - mean) * r * (gain ? gain[i] : 1) +
        (bias ? bias[i] : 0);
    }
  }
  return y;
}

/** Columns [from, from + count) of all rows of a matrix of `stride` columns. */
function columns(
  executor: Executor,
  x: Floats,
  stride: number,
  [from, count]: readonly [number, number],
): Floats {
  return slice(executor, x, stride, 0, x.length / stride, from, count);
}

/** Values of as many rows each, one beside the other. */
function sideBySide(
  executor: Executor,
  xs: readonly Floats[],
  widths: readonly number[],
): Floats {
  const stride = widths.reduce((a, b) => a + b, 0);
  const y = executor.zeros(xs.reduce((sum, x) => sum + x.length, 0));
  let at = 0;
  for (const [i, x] of xs.entries()) {
    const width = widths[i];
    for (let r = 0; r < x.length / width; r++) {
      y.set(x.subarray(r * width, (r + 1) * width), r * stride + at);
    }
    at += width;
  }
  return y;
}

/** The rows of one modality. */
function rowsOfModality(
  { modality, loaded }: Run,
  x: Floats,
  width: number,
  rows: Modality,
): Floats {
  const wanted = MODALITIES.indexOf(rows);
  const some = modality.reduce((n, m) => n + (m === wanted ? 1 : 0), 0);
  const y = loaded.executor.zeros(some * width);
  let to = 0;
  for (const [row, m] of modality.entries()) {
    if (m !== wanted) continue;
    y.set(x.subarray(row * width, (row + 1) * width), to);
    to += width;
  }
  return y;
}

/** Rows of each image, one value behind the other. */
function stacked(
  executor: Executor,
  xs: readonly Floats[],
  images: number,
): Floats {
  const y = executor.zeros(xs.reduce((sum, x) => sum + x.length, 0));
  let at = 0;
  for (let i = 0; i < images; i++) {
    for (const x of xs) {
      const each = x.length / images;
      y.set(x.subarray(i * each, (i + 1) * each), at);
      at += each;
    }
  }
  return y;
}

/** Columns [from, from + width) of rows [start, start + count) of a matrix of `stride` columns. */
function slice(
  executor: Executor,
  x: Floats,
  stride: number,
  start: number,
  count: number,
  from: number,
  width: number,
): Floats {
  const y = executor.zeros(count * width);
  for (let r = 0; r < count; r++) {
    const at = (start + r) * stride + from;
    y.set(x.subarray(at, at + width), r * width);
  }
  return y;
}

/** cos and sin of a segment's rows, each [count, headDim/2]; all layers of a kind share them. */
function tablesOf(node: AttentionNode, s: Segment): RopeTables {
  const {
    ropeTheta: theta,
    headDim: d,
    rotaryDim = d,
    rope2d,
    mropeSection,
    ropeScalingFactor,
  } = node;
  const key = [theta, d, rotaryDim, rope2d, mropeSection, ropeScalingFactor]
    .join();
  const known = s.tables.get(key);
  if (known) return known;
  const make = () => {
    if (rope2d) return rope2dTables(theta!, d, s.grid!);
    if (mropeSection) {
      return positionTables(theta!, d, mropeAxes(node), s.places!, rotaryDim);
    }
    return ropeTables(
      theta!,
      d,
      s.count,
      rotaryDim,
      s.sequence?.length,
      ropeScalingFactor,
    );
  };
  const tables = make();
  s.tables.set(key, tables);
  return tables;
}

/** Turns q or k by its rows' positions, in a copy. */
function embedPositions(
  x: Floats,
  heads: number,
  node: AttentionNode,
  segments: readonly Segment[],
): Floats {
  const y = x.slice(), d = node.headDim, half = d / 2;
  for (const s of segments) {
    const { cos, sin } = tablesOf(node, s);
    for (let r = 0; r < s.count; r++) {
      const t = r * half;
      for (let h = 0; h < heads; h++) {
        const at = (s.start + r) * heads * d + h * d;
        for (let i = 0; i < half; i++) {
          const u = x[at + i], v = x[at + i + half];
          y[at + i] = u * cos[t + i] - v * sin[t + i];
          y[at + i + half] = v * cos[t + i] + u * sin[t + i];
        }
      }
    }
  }
  return y;
}

function attend(
  run: Run,
  node: AttentionNode,
  q: Floats,
  k: Floats,
  v: Floats,
): Floats {
  const { loaded: { executor }, hooks } = run;
  const { heads, kvHeads, headDim: d } = node;
  if (node.ropeTheta !== undefined) {
    q = embedPositions(q, heads, node, run.segments);
    k = embedPositions(k, kvHeads, node, run.segments);
  }
  if (hooks.heads) {
    q = hooks.heads(node, "q", q, run.modality);
    k = hooks.heads(node, "k", k, run.modality);
    v = hooks.heads(node, "v", v, run.modality);
  }
  if (node.windowSize !== undefined) return inWindows(run, node, q, k, v);
  const out = executor.zeros(q.length), wide = heads * d;
  const width = kvHeads * d, { nodes } = run.loaded.model;
  // In the vision phase queries may have other rows than keys.
  const fixed = (x: string) =>
    node.phase === "vision" ? fixedRows(nodes, x) : undefined;
  const asked = fixed(node.q), given = fixed(node.k);
  for (const [i, segment] of run.segments.entries()) {
    const s = asked === undefined ? segment : share(asked, i);
    const of = given === undefined ? segment : share(given, i);
    let keys = k.subarray(of.start * width, (of.start + of.count) * width);
    let vals = v.subarray(of.start * width, (of.start + of.count) * width);
    if (segment.sequence) {
      const past = segment.sequence.cache.get(node.id) ??
        run.loaded.prefix?.get(node.id);
      if (past) keys = join(executor, past.k, keys);
      if (past) vals = join(executor, past.v, vals);
      segment.sequence.cache.set(node.id, { k: keys.slice(), v: vals.slice() });
    }
    const total = keys.length / width, offset = total - s.count;
    const seen = new Int32Array(2 * s.count);
    for (let r = 0; r < s.count; r++) {
      seen[2 * r] = Math.max(
        0,
        offset + r + 1 - (node.slidingWindow ?? Infinity),
      );
      seen[2 * r + 1] = node.mask === "full"
        ? total
        : offset + (segment.sight?.[r] ?? r) + 1;
    }
    const own = [s.start * wide, (s.start + s.count) * wide] as const;
    const asking = q.subarray(...own), answer = out.subarray(...own);
    const shape = { rows: s.count, keys: total, heads, kvHeads, headDim: d };
    const attended = executor.attention?.(asking, keys, vals, shape, seen);
    if (attended) answer.set(attended);
    else attendHeads(executor, asking, keys, vals, shape, seen, answer);
  }
  return out;
}

/** Each sequence's rows, with what it kept of those before in front. */
function convolve(
  { loaded, segments }: Run,
  { id, width, kernelSize, weight, bias }: CausalConv1dNode,
  x: Floats,
  before: Floats | undefined,
  behind: Floats | undefined,
): Floats {
  const { executor } = loaded, w = loaded.param(weight);
  const b = bias === undefined ? undefined : loaded.param(bias);
  const y = executor.zeros(x.length), kept = (kernelSize - 1) * width;
  for (const { start, count, sequence } of segments) {
    const at = start * width, u = executor.zeros(kept + count * width);
    u.set(sequence!.past.get(id) ?? executor.zeros(kept));
    for (let i = 0; i < count * width; i++) {
      u[kept + i] = before ? before[at + i] * x[at + i] : x[at + i];
    }
    sequence!.past.set(id, u.slice(u.length - kept));
    for (let i = 0; i < count * width; i++) {
      let sum = b ? b[i % width] : 0;
      for (let t = 0; t < kernelSize; t++) {
        sum += w[t * width + i % width] * u[t * width + i];
      }
      y[at + i] = behind ? sum * behind[at + i] : sum;
    }
  }
  return y;
}

/** Attention of each window for itself: the rows in window order, a window as a picture of one. */
function inWindows(
  run: Run,
  node: AttentionNode,
  q: Floats,
  k: Floats,
  v: Floats,
): Floats {
  const { windowSize: window, ropeTheta: _, ...plain } = node, { loaded } = run;
  const merge = mergeOf(imageInfoOf(loaded.model.info));
  const cut = run.segments.map((s) => windowsOf(s.grid!, window!, merge));
  const order = cut.flatMap(({ order }, i) =>
    Array.from(order, (p) => run.segments[i].start + p)
  );
  let start = 0;
  const segments = cut.flatMap(({ sizes }) => sizes).map((count) => {
    start += count;
    return { start: start - count, count, tables: new Map() };
  });
  const sorted = (x: Floats) => {
    const y = executor.zeros(x.length), width = x.length / order.length;
    order.forEach((from, to) =>
      y.set(x.subarray(from * width, (from + 1) * width), to * width)
    );
    return y;
  };
  const { executor } = loaded;
  const seen = attend(
    { ...run, segments, hooks: {} },
    plain,
    sorted(q),
    sorted(k),
    sorted(v),
  );
  const out = executor.zeros(seen.length), width = seen.length / order.length;
  order.forEach((to, from) =>
    out.set(seen.subarray(from * width, (from + 1) * width), to * width)
  );
  return out;
}

/** Rows of image i where a value holds as many for each. */
function share(count: number, i: number): Rows {
  return { start: i * count, count };
}

function join(executor: Executor, a: Floats, b: Floats): Floats {
  const c = executor.zeros(a.length + b.length);
  c.set(a);
  c.set(b, a.length);
  return c;
}

/** Adds v to the first rows of each image's part of the stream. */
function addRows(stream: Floats, v: Floats, images: number): void {
  if (v.length === stream.length) images = 1;
  const from = v.length / images, to = stream.length / images;
  for (let image = 0; image < images; image++) {
    for (let i = 0; i < from; i++) {
      stream[image * to + i] += v[image * from + i];
    }
  }
}

/** The first `count` rows of each image. */
function take(
  executor: Executor,
  x: Floats,
  width: number,
  count: number,
  images: number,
): Floats {
  const y = executor.zeros(images * count * width), each = x.length / images;
  for (let i = 0; i < images; i++) {
    y.set(
      x.subarray(i * each, i * each + count * width),
      i * count * width,
    );
  }
  return y;
}

/** [rows, cols, width] per image → [rows/f · cols/f, f·f·width]: row-major blocks, inside a block row-major (Idefics3 pixel_shuffle). */
function shuffle(
  executor: Executor,
  x: Floats,
  width: number,
  f: number,
  images: readonly Segment[],
): Floats {
  const y = executor.zeros(x.length);
  let first = 0, to = 0;
  for (const { grid } of images) {
    const { rows, cols } = grid!;
    for (let by = 0; by < rows; by += f) {
      for (let bx = 0; bx < cols; bx += f) {
        for (let dy = 0; dy < f; dy++) {
          const row = first + (by + dy) * cols + bx;
          y.set(x.subarray(row * width, (row + f) * width), to);
          to += f * width;
        }
      }
    }
    first += rows * cols;
  }
  return y;
}
