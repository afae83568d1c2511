/**
 * A model as data: one flat list of nodes in the order they run, and the
 * parameters they name. The interpreter runs the list in float, the observer
 * watches it, the passes rewrite it, the planner lowers it to kernels, and the
 * model file carries it as JSON; nobody writes a forward pass twice.
 *
 * Two phases. `vision` runs once per image: patches → rows of the text stream.
 * `text` runs once per chunk of tokens: rows → logits. A *stream* is a residual
 * stream: `write` adds to it, `read` takes it through a norm. What writes a
 * stream and what reads it is all that centering, folding and rotating need to
 * know, so no pass knows a model's name.
 * @module
 */
import type { Rotation } from "../tensor/rotation.ts";
import { ownGrid, patchesIn } from "./grid.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** When a node runs: once per image, or once per chunk of tokens. */
export type Phase = "vision" | "text";

/** Whose rows a value of the text phase has; MSQ keeps one scale for each. */
export type Modality = "vision" | "text";

/** In this order everywhere: scales, row ranges, file. */
export const MODALITIES: readonly Modality[] = ["vision", "text"];

/** Pointwise functions between linears. */
export type Activation = "gelu" | "gelu_tanh" | "quick_gelu" | "silu";

/** What every node has. `id` is also the stem of its parameters' names. */
interface Base {
  readonly id: string;
  readonly phase: Phase;
}

/** Image patches, one row each: [patches, channels·patch²], normalised pixels in (c, y, x) order. */
export interface PatchesNode extends Base {
  readonly op: "patches";
  readonly width: number;
  /** Rows of the vision phase behind the patches of an image that hold no pixels, such as a class token's; default 0. */
  readonly extra?: number;
}

/** A learned table, the same for every image, such as positions or the queries of a resampler: [rows, width]. */
export interface TableNode extends Base {
  readonly op: "table";
  readonly param: string;
  readonly width: number;
  /** Rows per image; those at the start of the vision phase where nothing is said. */
  readonly rows?: number;
  /** The table is a square of so many rows a side, [side², width], resampled to each picture's grid (grid.ts). */
  readonly side?: number;
  /** How it is resampled: to the nearest bucket's row, as the sum of a row for the column (the first `side`) and one for the row (the others), or bilinear as a picture is, corners not kept, smoothed where it shrinks; bilinear with its corners kept where nothing is said. */
  readonly by?: "buckets" | "axes" | "area";
}

/** Token embeddings: one row of `param` ([vocabulary, width]) per text token. */
export interface EmbedNode extends Base {
  readonly op: "embed";
  readonly param: string;
  readonly width: number;
}

/** y = x·Wᵀ + b, W [n, k]. A quantization site: its input is quantized. */
export interface LinearNode extends Base {
  readonly op: "linear";
  readonly x: string;
  readonly k: number;
  readonly n: number;
  readonly weight: string;
  readonly bias?: string;
  /** Channel 0 of x goes its own way in float (Rotation Magnitude Suppression). */
  readonly split?: boolean;
  /** Text phase: only the rows of one modality go through (an expert of CogVLM); its value, and what is made of that, has no others. */
  readonly rows?: Modality;
}

/** stream += x, on the rows of one modality or on all; where x has fewer rows per image than the stream, on the first. x may be a norm of another stream (post-norm, or a norm in front of a tower). */
export interface WriteNode extends Base {
  readonly op: "write";
  readonly stream: string;
  readonly x: string;
  readonly rows?: Modality;
  /** Only these columns of x: [first, how many]. */
  readonly part?: readonly [number, number];
}

/** norm(stream): LayerNorm or RMSNorm over the channels, then gain and bias where present. */
export interface ReadNode extends Base {
  readonly op: "read";
  readonly stream: string;
  readonly width: number;
  readonly norm: "layer" | "rms";
  readonly eps: number;
  readonly gain?: string;
  readonly bias?: string;
}

/** The stream as it stands, without a norm. */
export interface PeekNode extends Base {
  readonly op: "peek";
  readonly stream: string;
  readonly width: number;
}

/** Multi-head attention over q [rows, heads·headDim], k and v [rows, kvHeads·headDim]. In the vision phase q may have other rows than k and v (cross-attention of a resampler). */
export interface AttendNode extends Base {
  readonly op: "attend";
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** `full`: within an image. `causal`: a key is visible from its position on, through the cache. */
  readonly mask: "full" | "causal";
  /** Rotary embedding of q and k, half-split pairs ("rotate_half"), base θ; by a token's index where nothing else is said. */
  readonly theta?: number;
  /** Positions count so many times less (linear scaling). */
  readonly stretch?: number;
  /** Text phase: a token sees so many places back, its own counted (sliding window); all where nothing is said. */
  readonly reach?: number;
  /** So many channels of a head turn, pair i with channel i + headDim/2 as ever, by θ^(−2i/rotary); the other pairs stand still. Default: all. */
  readonly rotary?: number;
  /** Vision phase, pictures of any size: a patch sees only those of its window, so many patches a side (windows.ts, Qwen2.5-VL). */
  readonly window?: number;
  /** Vision phase: the first half of the pairs turns by the patch's row, the second by its column (Qwen2-VL). */
  readonly grid?: true;
  /** Text phase: so many pairs turn by a token's time, row and column (M-RoPE, Qwen2-VL), or all by its time; see places.ts. */
  readonly sections?: readonly number[];
  /** The pairs of the sections take turns (time, row, column, time …) instead of standing in a row (Qwen3-VL). */
  readonly interleaved?: true;
}

/**
 * A causal convolution of each channel along the tokens of a sequence, text
 * phase: y[t] = (bias + Σ_i w[i] ⊙ u[t − taps + 1 + i]) ⊙ behind[t], where
 * u = x ⊙ before; gates that are not named are 1, what is before the first token is 0.
 */
export interface ConvolveNode extends Base {
  readonly op: "convolve";
  readonly x: string;
  readonly before?: string;
  readonly behind?: string;
  readonly width: number;
  readonly taps: number;
  /** w: [taps, width]. */
  readonly param: string;
  readonly bias?: string;
}

/** fn(x), or fn(gate)·x where a gate is named. */
export interface ActNode extends Base {
  readonly op: "act";
  readonly fn: Activation;
  readonly x: string;
  readonly gate?: string;
  readonly width: number;
}

/** Online rotation of each row. */
export interface RotateNode extends Base {
  readonly op: "rotate";
  readonly x: string;
  readonly rotation: Rotation;
  readonly inverse?: boolean;
}

/** Per-channel gain. */
export interface GainNode extends Base {
  readonly op: "gain";
  readonly x: string;
  readonly param: string;
  readonly width: number;
}

/** RMSNorm of each head of a row, with one gain [headDim] for all heads (Qwen3's norm of queries and keys). */
export interface HeadNormNode extends Base {
  readonly op: "headnorm";
  readonly x: string;
  readonly width: number;
  readonly headDim: number;
  readonly eps: number;
  readonly param: string;
}

/** Pixel shuffle: factor² neighbouring patches of a square grid become one row (Idefics3). */
export interface ShuffleNode extends Base {
  readonly op: "shuffle";
  readonly x: string;
  readonly factor: number;
  /** Channels of x; the result has width·factor². */
  readonly width: number;
}

/** Values side by side: what the vision phase hands over where it is more than one value. */
export interface JoinNode extends Base {
  readonly op: "join";
  readonly xs: readonly string[];
}

/** Rows of each image, those of one value behind those of the other. */
export interface StackNode extends Base {
  readonly op: "stack";
  readonly xs: readonly string[];
}

/** The first `count` rows of each image go on. */
export interface TakeNode extends Base {
  readonly op: "take";
  readonly x: string;
  readonly count: number;
}

/** Only the last row of the chunk goes on. */
export interface LastNode extends Base {
  readonly op: "last";
  readonly x: string;
}

/** Any node. */
export type Node =
  | PatchesNode
  | TableNode
  | EmbedNode
  | LinearNode
  | WriteNode
  | ReadNode
  | PeekNode
  | AttendNode
  | ConvolveNode
  | ActNode
  | RotateNode
  | GainNode
  | HeadNormNode
  | ShuffleNode
  | JoinNode
  | StackNode
  | TakeNode
  | LastNode;

/** How a model takes images: their size in pixels, and what one is in a prompt. */
export interface ImageInfo {
  readonly height: number;
  readonly width: number;
  readonly patch: number;
  /** Pictures keep their shape: any whole squares of tokens. Height × width is then how many pixels one has at most, unless more are asked for. */
  readonly anySize?: true;
  /** Most patches of a picture, where that does not follow from height × width. */
  readonly mostPatches?: number;
  /** Rows of the text stream that one image becomes. */
  readonly tokens: number;
  /** Every picture becomes so many, however large. */
  readonly fixedTokens?: true;
  /** Id of the token that stands for one of them. */
  readonly tokenId: number;
  /** What a chat template writes for an image, where that is not its token (Gemma 3). */
  readonly mark?: string;
  /** What stands for each {tokens} of a picture's texts, for families whose pictures of any size have more text than tokens. */
  readonly each?: string;
  /** What a chat template's `<image>` expands to, with `anySize` once per token; {image} is the picture's number in the prompt, from 0, {picture} the same from 1. */
  readonly text: string;
  /** All tokens of an image stand at one place (GLM-4V); otherwise each at its row and column. */
  readonly atOnePlace?: true;
  /** The tokens of an image see each other, not only those before them (moondream). */
  readonly seesItself?: true;
  /** With `atOnePlace`: so many tokens in front have places of their own (CogVLM2). */
  readonly lead?: number;
  /**
   * What it expands to where the picture is cut into tiles, for families that
   * can: `begin`, then row by row `tile` with {row} and {col} counted from 1 and
   * `rowEnd`, with `rowGap` between rows, then `end`. The whole picture stands
   * in `begin` or in `end`, as its tile comes first or last; {image} and {picture} as above
   * in begin and end. Each holds its image tokens.
   */
  readonly tiles?: {
    readonly begin: string;
    readonly tile: string;
    readonly rowEnd: string;
    readonly rowGap?: string;
    readonly end: string;
  };
}

/** What the runtime must know beside the nodes. All from the checkpoint's own files. */
export interface ModelInfo {
  /** Architecture name, for people. */
  readonly architecture: string;
  readonly vocabulary: number;
  /** Longest sequence the positions allow. */
  readonly maxPositions: number;
  /** Ids that end an answer. */
  readonly stopIds: readonly number[];
  /** Tokens in front of every sequence whose keys and values the file holds (sink tokens). */
  readonly prefix?: readonly number[];
  /** Absent where the model reads text only. */
  readonly image?: ImageInfo;
}

/** A model: its nodes in running order, the id of the logits, and its parameters. */
export interface Model {
  readonly info: ModelInfo;
  readonly nodes: readonly Node[];
  readonly params: ReadonlyMap<string, Tensor>;
}

/** Values a node consumes, in order. */
export function inputsOf(node: Node): readonly string[] {
  switch (node.op) {
    case "attend":
      return [node.q, node.k, node.v];
    case "act":
      return node.gate === undefined ? [node.x] : [node.gate, node.x];
    case "convolve":
      return [node.x, node.before, node.behind].filter((x) => x !== undefined);
    case "join":
    case "stack":
      return node.xs;
    case "linear":
    case "write":
    case "rotate":
    case "gain":
    case "headnorm":
    case "shuffle":
    case "take":
    case "last":
      return [node.x];
    default:
      return [];
  }
}

/** Parameters a node names. */
export function paramsOf(node: Node): readonly string[] {
  switch (node.op) {
    case "table":
    case "embed":
    case "gain":
    case "headnorm":
      return [node.param];
    case "linear":
      return node.bias === undefined ? [node.weight] : [node.weight, node.bias];
    case "convolve":
      return node.bias === undefined ? [node.param] : [node.param, node.bias];
    case "read":
      return [node.gain, node.bias].filter((p) => p !== undefined);
    default:
      return [];
  }
}

/** Channels of the value a node makes; undefined for a write, which makes none. */
export function widthOf(
  node: Node,
  byId: (id: string) => Node,
): number | undefined {
  switch (node.op) {
    case "linear":
      return node.n;
    case "attend":
      return node.heads * node.headDim;
    case "shuffle":
      return node.width * node.factor ** 2;
    case "join":
      return node.xs.reduce((sum, x) => sum + widthOf(byId(x), byId)!, 0);
    case "rotate":
      return node.rotation.n;
    case "stack":
      return widthOf(byId(node.xs[0]), byId);
    case "take":
    case "last":
      return widthOf(byId(node.x), byId);
    case "write":
      return undefined;
    default:
      return node.width;
  }
}

/**
 * How a model takes images.
 * @throws {RangeError} where it takes none
 */
export function imageOf({ image, architecture }: ModelInfo): ImageInfo {
  if (image) return image;
  throw new RangeError(
    `Cannot take an image: ${architecture} reads text only`,
  );
}

/** The modality whose rows alone a value of the text phase has; undefined where it has all, or none apart. */
export function modalityOf(
  node: Node,
  byId: (id: string) => Node,
): Modality | undefined {
  switch (node.op) {
    case "linear":
      return node.rows ?? modalityOf(byId(node.x), byId);
    case "act":
    case "rotate":
    case "gain":
    case "headnorm":
      return modalityOf(byId(node.x), byId);
    default:
      return undefined;
  }
}

/** Rows behind the patches of an image that hold no pixels. */
export function extraRows(nodes: readonly Node[]): number {
  const patches = nodes.find((n) => n.op === "patches");
  return patches?.op === "patches" ? patches.extra ?? 0 : 0;
}

/** Rows that an image of the tower's own size has at the start of the vision phase. */
export function rowsPerImage(nodes: readonly Node[], info: ModelInfo): number {
  return patchesIn(ownGrid(imageOf(info))) + extraRows(nodes);
}

/** Node by id. */
export function index(nodes: readonly Node[]): (id: string) => Node {
  const map = new Map(nodes.map((n) => [n.id, n]));
  return (id) => {
    const node = map.get(id);
    if (!node) throw new RangeError(`Cannot find node "${id}" in the graph`);
    return node;
  };
}

/** Consumers by value, for who asks about many: as `consumersOf`, found once. */
export function consumersIn(
  nodes: readonly Node[],
): (id: string) => readonly Node[] {
  const map = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const id of new Set(inputsOf(node))) {
      const known = map.get(id);
      if (known) known.push(node);
      else map.set(id, [node]);
    }
  }
  return (id) => map.get(id) ?? [];
}

/** Nodes that consume the value `id`. */
export function consumersOf(nodes: readonly Node[], id: string): Node[] {
  return nodes.filter((n) => inputsOf(n).includes(id));
}

/** Side of the windows of a graph's attention, in patches, where it has some. */
export function windowOf(nodes: readonly Node[]): number | undefined {
  for (const n of nodes) if (n.op === "attend" && n.window) return n.window;
  return undefined;
}

/** Rows that a value of the vision phase has for each image, where they do not follow from its patches. */
export function fixedRows(
  nodes: readonly Node[],
  id: string,
): number | undefined {
  const node = index(nodes)(id);
  if (node.op === "table") return node.rows;
  if (node.op === "take") return node.count;
  const from = node.op === "read" || node.op === "peek"
    ? nodes.find((n) => n.op === "write" && n.stream === node.stream)
    : node;
  const [x] = from ? inputsOf(from) : [];
  const rows = x === undefined ? undefined : fixedRows(nodes, x);
  return rows && node.op === "shuffle" ? rows / node.factor ** 2 : rows;
}

/** The node whose value is the logits: the last of the text phase. */
export function logitsOf(nodes: readonly Node[]): LinearNode {
  const last = nodes.at(-1);
  if (last?.op !== "linear") {
    throw new RangeError(
      `Cannot run the graph: its last node must be the head, a linear; it is ${
        last?.op ?? "missing"
      }`,
    );
  }
  return last;
}
