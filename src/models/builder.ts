/**
 * Builds the graph of a model. Each method adds one node and returns its id, so
 * a model file reads like a forward pass. The op records describe the fields
 * (src/graph/ops/).
 * @module
 */
import type { Activation } from "../graph/activation.ts";
import type { Node } from "../graph/node.ts";
import type { Modality, Phase } from "../graph/phase.ts";

/** Own fields of an op's nodes. */
type Own<O extends Node["op"]> = Omit<
  Extract<Node, { op: O }>,
  "op" | "id" | "phase"
>;

/** T with optional fields that may also be undefined. */
type Loose<T> = {
  [K in keyof T]: object extends Pick<T, K> ? T[K] | undefined : T[K];
};

/** A graph under construction. */
export class Builder {
  /** Nodes so far, in execution order. */
  readonly nodes: Node[] = [];
  /** Phase of the next nodes. */
  phase: Phase = "vision";

  /** Adds a node of any op; undefined fields are omitted. */
  add<O extends Node["op"]>(op: O, id: string, fields: Loose<Own<O>>): string {
    const given = Object.entries(fields).filter(([, v]) => v !== undefined);
    const node = { op, id, phase: this.phase, ...Object.fromEntries(given) };
    this.nodes.push(node as unknown as Node);
    return id;
  }

  /**
   * Image patches of `width` values, followed by rows without pixels; or
   * overlapping windows around the patches.
   */
  patchInput(
    id: string,
    width: number,
    fields: Omit<Loose<Own<"patch_input">>, "width"> = {},
  ): string {
    return this.add("patch_input", id, { width, ...fields });
  }

  /**
   * A learned table with as many rows as the phase starts with, or `rows`; or
   * with `gridSize` rows per side, resampled to each picture.
   */
  learnedEmbedding(
    id: string,
    width: number,
    size: Omit<Own<"learned_embedding">, "weight" | "width"> = {},
  ): string {
    const weight = `${id}.weight`;
    return this.add("learned_embedding", id, { weight, width, ...size });
  }

  /** Token embeddings. */
  embedding(id: string, width: number): string {
    return this.add("embedding", id, { weight: `${id}.weight`, width });
  }

  /** x·Wᵀ (+ b), from k to n channels; `weight` names a shared table. */
  linear(
    id: string,
    x: string,
    k: number,
    n: number,
    { bias = false, weight = `${id}.weight`, modality }: {
      readonly bias?: boolean;
      readonly weight?: string;
      readonly modality?: Modality | undefined;
    } = {},
  ): string {
    const b = bias ? `${id}.bias` : undefined;
    return this.add("linear", id, { x, k, n, weight, bias: b, modality });
  }

  /** A depthwise convolution with bias. */
  depthwiseConv2d(
    id: string,
    x: string,
    fields: Omit<Own<"depthwise_conv2d">, "x" | "weight" | "bias">,
  ): string {
    const weight = `${id}.weight`, bias = `${id}.bias`;
    return this.add("depthwise_conv2d", id, { x, weight, bias, ...fields });
  }

  /** stream += x, or some `columns` of x; on all rows or those of one modality. */
  residualAdd(
    stream: string,
    x: string,
    modality?: Modality,
    columns?: readonly [number, number],
  ): void {
    const id = `${x}${columns ? `:${columns[0]}` : ""}>${stream}`;
    this.add("residual_add", id, { stream, x, modality, columns });
  }

  /** LayerNorm or RMSNorm of a stream, with its learned weight (and bias). */
  norm(
    id: string,
    stream: string,
    width: number,
    kind: "layer" | "rms",
    eps: number,
  ): string {
    const weight = `${id}.weight`;
    const bias = kind === "layer" ? `${id}.bias` : undefined;
    return this.add("norm", id, { stream, width, kind, eps, weight, bias });
  }

  /** The current value of a stream. */
  residualRead(id: string, stream: string, width: number): string {
    return this.add("residual_read", id, { stream, width });
  }

  /** Concatenates features. */
  concatFeatures(id: string, xs: readonly string[]): string {
    return this.add("concat_features", id, { xs });
  }

  /** Concatenates rows. */
  concatRows(id: string, xs: readonly string[]): string {
    return this.add("concat_rows", id, { xs });
  }

  /** The first `count` rows of each image. */
  sliceRows(id: string, x: string, count: number): string {
    return this.add("slice_rows", id, { x, count });
  }

  /** A learned factor per channel. */
  channelScale(id: string, x: string, width: number): string {
    return this.add("channel_scale", id, { x, weight: `${id}.weight`, width });
  }

  /** RMSNorm of each head, with its learned weight. */
  qkNorm(
    id: string,
    x: string,
    width: number,
    headDim: number,
    eps: number,
  ): string {
    const weight = `${id}.weight`;
    return this.add("qk_norm", id, { x, width, headDim, eps, weight });
  }

  /** Attention. */
  attention(id: string, fields: Own<"attention">): string {
    return this.add("attention", id, fields);
  }

  /** A causal depthwise convolution over tokens. */
  causalConv1d(
    id: string,
    x: string,
    width: number,
    kernelSize: number,
    { inputGate, outputGate, bias = false }: {
      readonly inputGate?: string;
      readonly outputGate?: string;
      readonly bias?: boolean;
    } = {},
  ): string {
    return this.add("causal_conv1d", id, {
      x,
      inputGate,
      outputGate,
      width,
      kernelSize,
      weight: `${id}.weight`,
      bias: bias ? `${id}.bias` : undefined,
    });
  }

  /** fn(x), or fn(gate) ⊙ x. */
  activation(
    id: string,
    fn: Activation,
    width: number,
    x: string,
    gate?: string,
  ): string {
    return this.add("activation", id, { fn, x, width, gate });
  }

  /** Pixel shuffle. */
  pixelShuffle(id: string, x: string, width: number, factor: number): string {
    return this.add("pixel_shuffle", id, { x, factor, width });
  }

  /** The last row of each chunk. */
  lastRow(id: string, x: string): string {
    return this.add("last_row", id, { x });
  }
}
