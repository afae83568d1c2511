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
export interface PatchInputNode extends Base {
  readonly op: "patch_input";
  readonly width: number;
  /** Rows of the vision phase behind the patches of an image that hold no pixels, such as a class token's; default 0. */
  readonly extraRows?: number;
}

/** A learned table, the same for every image, such as positions or the queries of a resampler: [rows, width]. */
export interface LearnedEmbeddingNode extends Base {
  readonly op: "learned_embedding";
  readonly weight: string;
  readonly width: number;
  /** Rows per image; those at the start of the vision phase where nothing is said. */
  readonly rows?: number;
  /** The table is a square of so many rows a side, [side², width], resampled to each picture's grid (grid.ts). */
  readonly gridSize?: number;
  /** How it is resampled: to the nearest bucket's row, as the sum of a row for the column (the first `side`) and one for the row (the others), or bilinear as a picture is, corners not kept, smoothed where it shrinks; bilinear with its corners kept where nothing is said. */
  readonly interpolation?: "bucket" | "axis_sum" | "bilinear_antialias";
}

/** Token embeddings: one row of `param` ([vocabulary, width]) per text token. */
export interface EmbeddingNode extends Base {
  readonly op: "embedding";
  readonly weight: string;
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
  readonly floatChannel0?: boolean;
  /** Text phase: only the rows of one modality go through (an expert of CogVLM); its value, and what is made of that, has no others. */
  readonly modality?: Modality;
}

/** stream += x, on the rows of one modality or on all; where x has fewer rows per image than the stream, on the first. x may be a norm of another stream (post-norm, or a norm in front of a tower). */
export interface ResidualAddNode extends Base {
  readonly op: "residual_add";
  readonly stream: string;
  readonly x: string;
  readonly modality?: Modality;
  /** Only these columns of x: [first, how many]. */
  readonly columns?: readonly [number, number];
}

/** norm(stream): LayerNorm or RMSNorm over the channels, then gain and bias where present. */
export interface NormNode extends Base {
  readonly op: "norm";
  readonly stream: string;
  readonly width: number;
  readonly kind: "layer" | "rms";
  readonly eps: number;
  readonly weight?: string;
  readonly bias?: string;
}

/** The stream as it stands, without a norm. */
export interface ResidualReadNode extends Base {
  readonly op: "residual_read";
  readonly stream: string;
  readonly width: number;
}

/** Multi-head attention over q [rows, heads·headDim], k and v [rows, kvHeads·headDim]. In the vision phase q may have other rows than k and v (cross-attention of a resampler). */
export interface AttentionNode extends Base {
  readonly op: "attention";
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** `full`: within an image. `causal`: a key is visible from its position on, through the cache. */
  readonly mask: "full" | "causal";
  /** Rotary embedding of q and k, half-split pairs ("rotate_half"), base θ; by a token's index where nothing else is said. */
  readonly ropeTheta?: number;
  /** Positions count so many times less (linear scaling). */
  readonly ropeScalingFactor?: number;
  /** Text phase: a token sees so many places back, its own counted (sliding window); all where nothing is said. */
  readonly slidingWindow?: number;
  /** So many channels of a head turn, pair i with channel i + headDim/2 as ever, by θ^(−2i/rotary); the other pairs stand still. Default: all. */
  readonly rotaryDim?: number;
  /** Vision phase, pictures of any size: a patch sees only those of its window, so many patches a side (windows.ts, Qwen2.5-VL). */
  readonly windowSize?: number;
  /** Vision phase: the first half of the pairs turns by the patch's row, the second by its column (Qwen2-VL). */
  readonly rope2d?: true;
  /** Text phase: so many pairs turn by a token's time, row and column (M-RoPE, Qwen2-VL), or all by its time; see position_ids.ts. */
  readonly mropeSection?: readonly number[];
  /** The pairs of the sections take turns (time, row, column, time …) instead of standing in a row (Qwen3-VL). */
  readonly mropeInterleaved?: true;
}

/**
 * A causal convolution of each channel along the tokens of a sequence, text
 * phase: y[t] = (bias + Σ_i w[i] ⊙ u[t − taps + 1 + i]) ⊙ behind[t], where
 * u = x ⊙ before; gates that are not named are 1, what is before the first token is 0.
 */
export interface CausalConv1dNode extends Base {
  readonly op: "causal_conv1d";
  readonly x: string;
  readonly inputGate?: string;
  readonly outputGate?: string;
  readonly width: number;
  readonly kernelSize: number;
  /** w: [taps, width]. */
  readonly weight: string;
  readonly bias?: string;
}

/** fn(x), or fn(gate)·x where a gate is named. */
export interface ActivationNode extends Base {
  readonly op: "activation";
  readonly fn: Activation;
  readonly x: string;
  readonly gate?: string;
  readonly width: number;
}

/** Online rotation of each row. */
export interface HadamardNode extends Base {
  readonly op: "hadamard";
  readonly x: string;
  readonly rotation: Rotation;
  readonly inverse?: boolean;
}

/** Per-channel gain. */
export interface ChannelScaleNode extends Base {
  readonly op: "channel_scale";
  readonly x: string;
  readonly weight: string;
  readonly width: number;
}

/** RMSNorm of each head of a row, with one gain [headDim] for all heads (Qwen3's norm of queries and keys). */
export interface QkNormNode extends Base {
  readonly op: "qk_norm";
  readonly x: string;
  readonly width: number;
  readonly headDim: number;
  readonly eps: number;
  readonly weight: string;
}

/** Pixel shuffle: factor² neighbouring patches of a square grid become one row (Idefics3). */
export interface PixelShuffleNode extends Base {
  readonly op: "pixel_shuffle";
  readonly x: string;
  readonly factor: number;
  /** Channels of x; the result has width·factor². */
  readonly width: number;
}

/** Values side by side: what the vision phase hands over where it is more than one value. */
export interface ConcatFeaturesNode extends Base {
  readonly op: "concat_features";
  readonly xs: readonly string[];
}

/** Rows of each image, those of one value behind those of the other. */
export interface ConcatRowsNode extends Base {
  readonly op: "concat_rows";
  readonly xs: readonly string[];
}

/** The first `count` rows of each image go on. */
export interface SliceRowsNode extends Base {
  readonly op: "slice_rows";
  readonly x: string;
  readonly count: number;
}

/** Only the last row of the chunk goes on. */
export interface LastRowNode extends Base {
  readonly op: "last_row";
  readonly x: string;
}

/** Any node. */
export type Node =
  | PatchInputNode
  | LearnedEmbeddingNode
  | EmbeddingNode
  | LinearNode
  | ResidualAddNode
  | NormNode
  | ResidualReadNode
  | AttentionNode
  | CausalConv1dNode
  | ActivationNode
  | HadamardNode
  | ChannelScaleNode
  | QkNormNode
  | PixelShuffleNode
  | ConcatFeaturesNode
  | ConcatRowsNode
  | SliceRowsNode
  | LastRowNode;

/** How a model takes images: their size in pixels, and what one is in a prompt. */
export interface ImageInfo {
  readonly height: number;
  readonly width: number;
  readonly patchSize: number;
  /** Pictures keep their shape: any whole squares of tokens. Height × width is then how many pixels one has at most, unless more are asked for. */
  readonly nativeResolution?: true;
  /** Most patches of a picture, where that does not follow from height × width. */
  readonly maxPatches?: number;
  /** Rows of the text stream that one image becomes. */
  readonly tokens: number;
  /** Every picture becomes so many, however large. */
  readonly fixedTokens?: true;
  /** Id of the token that stands for one of them. */
  readonly tokenId: number;
  /** What a chat template writes for an image, where that is not its token (Gemma 3). */
  readonly templateToken?: string;
  /** What stands for each {tokens} of a picture's texts, for families whose pictures of any size have more text than tokens. */
  readonly tokenText?: string;
  /** What a chat template's `<image>` expands to, with `nativeResolution` once per token; {image} is the picture's number in the prompt, from 0, {picture} the same from 1. */
  readonly text: string;
  /** All tokens of an image stand at one place (GLM-4V); otherwise each at its row and column. */
  readonly sharedPosition?: true;
  /** The tokens of an image see each other, not only those before them (moondream). */
  readonly bidirectional?: true;
  /** With `sharedPosition`: so many first tokens of an image have positions of their own (CogVLM2). */
  readonly leadingTokens?: number;
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
    case "attention":
      return [node.q, node.k, node.v];
    case "activation":
      return node.gate === undefined ? [node.x] : [node.gate, node.x];
    case "causal_conv1d":
      return [node.x, node.inputGate, node.outputGate].filter((x) =>
        x !== undefined
      );
    case "concat_features":
    case "concat_rows":
      return node.xs;
    case "linear":
    case "residual_add":
    case "hadamard":
    case "channel_scale":
    case "qk_norm":
    case "pixel_shuffle":
    case "slice_rows":
    case "last_row":
      return [node.x];
    default:
      return [];
  }
}

/** Parameters a node names. */
export function paramsOf(node: Node): readonly string[] {
  switch (node.op) {
    case "learned_embedding":
    case "embedding":
    case "channel_scale":
    case "qk_norm":
      return [node.weight];
    case "linear":
      return node.bias === undefined ? [node.weight] : [node.weight, node.bias];
    case "causal_conv1d":
      return node.bias === undefined ? [node.weight] : [node.weight, node.bias];
    case "norm":
      return [node.weight, node.bias].filter((p) => p !== undefined);
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
    case "attention":
      return node.heads * node.headDim;
    case "pixel_shuffle":
      return node.width * node.factor ** 2;
    case "concat_features":
      return node.xs.reduce((sum, x) => sum + widthOf(byId(x), byId)!, 0);
    case "hadamard":
      return node.rotation.n;
    case "concat_rows":
      return widthOf(byId(node.xs[0]), byId);
    case "slice_rows":
    case "last_row":
      return widthOf(byId(node.x), byId);
    case "residual_add":
      return undefined;
    default:
      return node.width;
  }
}

/**
 * How a model takes images.
 * @throws {RangeError} where it takes none
 */
export function imageInfoOf({ image, architecture }: ModelInfo): ImageInfo {
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
      return node.modality ?? modalityOf(byId(node.x), byId);
    case "activation":
    case "hadamard":
    case "channel_scale":
    case "qk_norm":
      return modalityOf(byId(node.x), byId);
    default:
      return undefined;
  }
}

/** Rows behind the patches of an image that hold no pixels. */
export function extraRows(nodes: readonly Node[]): number {
  const patches = nodes.find((n) => n.op === "patch_input");
  return patches?.op === "patch_input" ? patches.extraRows ?? 0 : 0;
}

/** Rows that an image of the tower's own size has at the start of the vision phase. */
export function rowsPerImage(nodes: readonly Node[], info: ModelInfo): number {
  return patchesIn(ownGrid(imageInfoOf(info))) + extraRows(nodes);
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
  for (const n of nodes) {
    if (n.op === "attention" && n.windowSize) return n.windowSize;
  }
  return undefined;
}

/** Rows that a value of the vision phase has for each image, where they do not follow from its patches. */
export function fixedRows(
  nodes: readonly Node[],
  id: string,
): number | undefined {
  const node = index(nodes)(id);
  if (node.op === "learned_embedding") return node.rows;
  if (node.op === "slice_rows") return node.count;
  const from = node.op === "norm" || node.op === "residual_read"
    ? nodes.find((n) => n.op === "residual_add" && n.stream === node.stream)
    : node;
  const [x] = from ? inputsOf(from) : [];
  const rows = x === undefined ? undefined : fixedRows(nodes, x);
  return rows && node.op === "pixel_shuffle" ? rows / node.factor ** 2 : rows;
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
