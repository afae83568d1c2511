/**
 * Helpers to write a model down as a graph: each adds one node and returns its
 * id, so a model file reads like the forward pass it describes.
 * @module
 */
import type {
  Activation,
  AttentionNode,
  LearnedEmbeddingNode,
  Modality,
  Node,
  Phase,
} from "../graph/node.ts";

/** A graph under construction. */
export class Builder {
  /** Nodes so far, in running order. */
  readonly nodes: Node[] = [];
  /** Phase of the nodes to come. */
  phase: Phase = "vision";

  #add(node: Node): string {
    this.nodes.push(node);
    return node.id;
  }

  /** Image patches of `width` values, and `extra` rows without pixels behind them. */
  patchInput(id: string, width: number, extra = 0): string {
    const node = { op: "patch_input", id, phase: this.phase, width } as const;
    return this.#add(extra > 0 ? { ...node, extraRows: extra } : node);
  }

  /** A learned table: as many rows as the phase begins with, or `rows`; or a square of `side` rows a side, resampled to each picture. */
  learnedEmbedding(
    id: string,
    width: number,
    size: Pick<LearnedEmbeddingNode, "rows" | "gridSize" | "interpolation"> =
      {},
  ): string {
    const { phase } = this, param = `${id}.weight`;
    return this.#add({
      op: "learned_embedding",
      id,
      phase,
      weight: param,
      width,
      ...size,
    });
  }

  /** Token embeddings. */
  embedding(id: string, width: number): string {
    const param = `${id}.weight`;
    return this.#add({
      op: "embedding",
      id,
      phase: this.phase,
      weight: param,
      width,
    });
  }

  /** x·Wᵀ (+ b), from k to n channels; `weight` names a shared table. */
  linear(
    id: string,
    x: string,
    k: number,
    n: number,
    { bias = false, weight = `${id}.weight`, rows }: {
      readonly bias?: boolean;
      readonly weight?: string;
      readonly rows?: Modality | undefined;
    } = {},
  ): string {
    const node = {
      op: "linear",
      id,
      phase: this.phase,
      x,
      k,
      n,
      weight,
    } as const;
    return this.#add({
      ...node,
      ...(bias ? { bias: `${id}.bias` } : {}),
      ...(rows ? { modality: rows } : {}),
    });
  }

  /** stream += x. */
  residualAdd(
    stream: string,
    x: string,
    rows?: Modality,
    part?: readonly [number, number],
  ): void {
    const node = {
      op: "residual_add",
      id: `${x}${part ? `:${part[0]}` : ""}>${stream}`,
      phase: this.phase,
      stream,
      x,
    } as const;
    this.#add({
      ...node,
      ...(rows ? { modality: rows } : {}),
      ...(part ? { columns: part } : {}),
    });
  }

  /** LayerNorm or RMSNorm of a stream, with its learned gain (and bias). */
  norm(
    id: string,
    stream: string,
    width: number,
    kind: "layer" | "rms",
    eps: number,
  ): string {
    const node = {
      op: "norm",
      id,
      phase: this.phase,
      stream,
      width,
      kind,
      eps,
      weight: `${id}.weight`,
    } as const;
    return this.#add(kind === "layer" ? { ...node, bias: `${id}.bias` } : node);
  }

  /** A stream as it stands. */
  residualRead(id: string, stream: string, width: number): string {
    return this.#add({
      op: "residual_read",
      id,
      phase: this.phase,
      stream,
      width,
    });
  }

  /** Values side by side. */
  concatFeatures(id: string, xs: readonly string[]): string {
    return this.#add({ op: "concat_features", id, phase: this.phase, xs });
  }

  /** Rows of values, one behind the other. */
  concatRows(id: string, xs: readonly string[]): string {
    return this.#add({ op: "concat_rows", id, phase: this.phase, xs });
  }

  /** The first `count` rows of each image. */
  sliceRows(id: string, x: string, count: number): string {
    return this.#add({ op: "slice_rows", id, phase: this.phase, x, count });
  }

  /** Per-channel learned gain. */
  channelScale(id: string, x: string, width: number): string {
    const param = `${id}.weight`;
    return this.#add({
      op: "channel_scale",
      id,
      phase: this.phase,
      x,
      weight: param,
      width,
    });
  }

  /** RMSNorm of each head, with its learned gain. */
  qkNorm(
    id: string,
    x: string,
    width: number,
    headDim: number,
    eps: number,
  ): string {
    const param = `${id}.weight`, { phase } = this;
    return this.#add({
      op: "qk_norm",
      id,
      phase,
      x,
      width,
      headDim,
      eps,
      weight: param,
    });
  }

  /** Attention. */
  attention(
    id: string,
    node: Omit<AttentionNode, "op" | "id" | "phase">,
  ): string {
    return this.#add({ op: "attention", id, phase: this.phase, ...node });
  }

  /** A causal convolution of each channel along the tokens. */
  causalConv1d(
    id: string,
    x: string,
    width: number,
    taps: number,
    { before, behind, bias = false }: {
      readonly before?: string;
      readonly behind?: string;
      readonly bias?: boolean;
    } = {},
  ): string {
    return this.#add({
      op: "causal_conv1d",
      id,
      phase: this.phase,
      x,
      ...(before === undefined ? {} : { inputGate: before }),
      ...(behind === undefined ? {} : { outputGate: behind }),
      width,
      kernelSize: taps,
      weight: `${id}.weight`,
      ...(bias ? { bias: `${id}.bias` } : {}),
    });
  }

  /** fn(x), or fn(gate)·x. */
  activation(
    id: string,
    fn: Activation,
    width: number,
    x: string,
    gate?: string,
  ): string {
    const node = {
      op: "activation",
      id,
      phase: this.phase,
      fn,
      x,
      width,
    } as const;
    return this.#add(gate === undefined ? node : { ...node, gate });
  }

  /** Pixel shuffle. */
  pixelShuffle(id: string, x: string, width: number, factor: number): string {
    return this.#add({
      op: "pixel_shuffle",
      id,
      phase: this.phase,
      x,
      factor,
      width,
    });
  }

  /** The last row of each chunk. */
  lastRow(id: string, x: string): string {
    return this.#add({ op: "last_row", id, phase: this.phase, x });
  }
}
