/**
 * The float interpreter: runs a graph with the tokens in their original order. It is
 * the reference of the kernels; calibration and GPTQ observe it by hooks. A batch is
 * many images or sequences, concatenated by rows; only attention and convolutions
 * separate them. The ops are implemented in their records (ops/).
 * @module
 */
import { sizeOf } from "../tensor/tensor.ts";
import { maskEnds } from "./attention_mask.ts";
import type { Executor, Floats } from "./executor.ts";
import { defaultGrid, type Grid, patchesIn } from "./grid.ts";
import { imageInfoOf } from "./info.ts";
import {
  extraRows,
  index,
  inputsOf,
  logitsOf,
  modalityOf,
  type Model,
  paramsOf,
  rowsPerImageOf,
  widthOf,
} from "./node.ts";
import { type Hooks, type Node, recordOf } from "./ops/mod.ts";
import type { Phase } from "./phase.ts";
import { positionIds } from "./position_ids.ts";
import type { RopeTables } from "./rope.ts";
import type { Prefix, Runner, Segment, Sequence } from "./runner.ts";

/** A model with its parameters loaded for one executor. */
export interface Loaded {
  readonly model: Model;
  readonly executor: Executor;
  /** Parameter by name, in the executor's precision. */
  param(name: string): Floats;
  /** Keys and values of the prefix tokens, `info.prefix`. */
  readonly prefix?: Prefix;
}

/** New tokens of one sequence, and the image rows of its image tokens. */
export interface Chunk {
  readonly sequence: Sequence;
  readonly ids: ArrayLike<number>;
  readonly image?: Floats | undefined;
  /** Grids of the images; default: the model's image size. */
  readonly grids?: readonly Grid[];
}

/** Default limit of the parameters that `load` keeps, in bytes. */
const KEEP = 2 ** 31;

/**
 * Reads parameters on first use and keeps up to `keep` bytes of them. Of a larger
 * model it keeps the text phase, which runs once per token, up to the limit, and reads
 * the others on each use.
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
 * Runs the vision phase.
 * @param patches normalised pixels of all images, [patches, channels·patchSize²]
 * @param grids of the images; default: all of the model's image size
 * @returns rows for the text stream, [image tokens, width]
 */
export function runVision(
  loaded: Loaded,
  patches: Floats,
  hooks: Hooks = {},
  grids?: readonly Grid[],
): Floats {
  const { nodes, info } = loaded.model;
  const first = nodes.find((n) => n.op === "patch_input");
  if (!first) {
    throw new RangeError("Cannot run the vision phase: the graph has no image");
  }
  const image = imageInfoOf(info), own = defaultGrid(image);
  const images = patches.length / (3 * image.patchSize ** 2) / patchesIn(own);
  grids ??= Array.from({ length: images }, () => own);
  let start = 0;
  const shared = new Map<string, Map<string, RopeTables>>(); // by grid
  const segments = grids.map((grid): Segment => {
    const count = patchesIn(grid) + extraRows(nodes);
    const key = `${grid.rows} × ${grid.cols}`;
    const tables = shared.get(key) ?? new Map();
    shared.set(key, tables);
    start += count;
    return { start: start - count, count, grid, tables };
  });
  return runPhase("vision", {
    loaded,
    hooks,
    values: new Map([[first.id, patches]]),
    segments,
    modality: new Uint8Array(start),
    ids: [],
  });
}

/**
 * Runs the text phase and advances the sequences.
 * @returns logits of the last token of each chunk, [chunks, vocabulary]; of every row with the hook `everyRow`
 */
export function runText(
  loaded: Loaded,
  chunks: readonly Chunk[],
  hooks: Hooks = {},
): Floats {
  const { nodes, info } = loaded.model;
  logitsOf(nodes); // refuses a graph without a head
  const ids = chunks.flatMap((c) => Array.from(c.ids));
  const logits = runPhase("text", {
    loaded,
    hooks,
    values: imageRows(loaded, chunks),
    segments: segmentsOf(loaded, chunks),
    modality: Uint8Array.from(ids, (id) => id === info.image?.tokenId ? 0 : 1),
    ids,
  });
  for (const c of chunks) c.sequence.length += c.ids.length;
  return logits;
}

/** The image rows of all chunks, as the vision-phase value that the text phase adds to its stream. */
function imageRows(
  { model, executor }: Loaded,
  chunks: readonly Chunk[],
): Map<string, Floats> {
  const given = chunks.flatMap((c) => c.image ? [c.image] : []);
  const bridge = model.nodes.find((n) =>
    n.op === "residual_add" && n.modality === "vision"
  );
  if (bridge?.op !== "residual_add" || given.length === 0) return new Map();
  const all = executor.zeros(given.reduce((sum, rows) => sum + rows.length, 0));
  let at = 0;
  for (const rows of given) all.set(rows, at), at += rows.length;
  return new Map([[bridge.x, all]]);
}

/** Row range, position ids and mask of each chunk; advances the position counters. */
function segmentsOf(
  { model: { info }, prefix }: Loaded,
  chunks: readonly Chunk[],
): Segment[] {
  const ahead = prefix ? info.prefix?.length ?? 0 : 0;
  let start = 0;
  return chunks.map(({ sequence, ids, grids }) => {
    if (sequence.length === 0) sequence.at.next = sequence.length = ahead;
    sequence.grids.push(...grids ?? []);
    start += ids.length;
    return {
      start: start - ids.length,
      count: ids.length,
      sequence,
      positions: positionIds(sequence.at, ids, info, sequence.grids),
      maskEnds: maskEnds(ids, info.image),
      tables: new Map(),
    };
  });
}

/** Initial state of a phase. */
type Start = Pick<Runner<Hooks>, "hooks" | "segments" | "modality" | "ids"> & {
  readonly loaded: Loaded;
  /** Values that are known at the start, by id. */
  readonly values: Map<string, Floats>;
};

function runnerOf({ loaded, values, ...start }: Start): Runner<Hooks> {
  const { model: { nodes, info }, executor, param, prefix } = loaded;
  const byId = index(nodes);
  const width = (id: string) => widthOf(byId(id), byId)!;
  return {
    ...start,
    executor,
    info,
    head: nodes.at(-1)!.id,
    streams: new Map(),
    quantized: new Map(),
    prefix,
    param,
    value(id) {
      const value = values.get(id);
      if (value) return value;
      throw new RangeError(`Cannot run the graph: there is no value "${id}"`);
    },
    given: (id) => values.get(id),
    width,
    streamWidth(name) {
      for (const n of nodes) {
        if (n.op !== "residual_add" || n.stream !== name) continue;
        return n.columns?.[1] ?? width(n.x);
      }
      throw new RangeError(`Cannot run stream "${name}": nothing adds to it`);
    },
    modalityOf: (id) => modalityOf(byId(id), byId),
    rowsPerImage: (id) => rowsPerImageOf(nodes, id),
  };
}

/** Runs the nodes of a phase; returns the last value. */
function runPhase(phase: Phase, start: Start): Floats {
  const runner = runnerOf(start), { values } = start;
  const nodes = start.loaded.model.nodes.filter((n) => n.phase === phase);
  const lastUse = new Map<string, number>();
  for (const [i, node] of nodes.entries()) {
    for (const id of inputsOf(node)) lastUse.set(id, i);
  }
  let last: Floats | undefined;
  for (const [i, node] of nodes.entries()) {
    const value = recordOf(node).run(node, runner);
    if (value) values.set(node.id, last = value);
    for (const id of inputsOf(node)) {
      if (lastUse.get(id) !== i) continue;
      values.delete(id);
      runner.quantized.delete(id);
    }
  }
  return last!;
}
