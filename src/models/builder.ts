/**
 * Helpers to write a model down as a graph: each adds one node and returns its
 * id, so a model file reads like the forward pass it describes.
 * @module
 */
import type {
  Activation,
  AttendNode,
  Modality,
  Node,
  Phase,
  TableNode,
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
  patches(id: string, width: number, extra = 0): string {
    const node = { op: "patches", id, phase: this.phase, width } as const;
    return this.#add(extra > 0 ? { ...node, extra } : node);
  }

  /** A learned table: as many rows as the phase begins with, or `rows`; or a square of `side` rows a side, resampled to each picture. */
  table(
    id: string,
    width: number,
    size: Pick<TableNode, "rows" | "side" | "by"> = {},
  ): string {
    const { phase } = this, param = `${id}.weight`;
    return this.#add({ op: "table", id, phase, param, width, ...size });
  }

  /** Token embeddings. */
  embed(id: string, width: number): string {
    const param = `${id}.weight`;
    return this.#add({ op: "embed", id, phase: this.phase, param, width });
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
      ...(rows ? { rows } : {}),
    });
  }

  /** stream += x. */
  write(
    stream: string,
    x: string,
    rows?: Modality,
    part?: readonly [number, number],
  ): void {
    const node = {
      op: "write",
      id: `${x}${part ? `:${part[0]}` : ""}>${stream}`,
      phase: this.phase,
      stream,
      x,
    } as const;
    this.#add({
      ...node,
      ...(rows ? { rows } : {}),
      ...(part ? { part } : {}),
    });
  }

  /** LayerNorm or RMSNorm of a stream, with its learned gain (and bias). */
  read(
    id: string,
    stream: string,
    width: number,
    norm: "layer" | "rms",
    eps: number,
  ): string {
    const node = {
      op: "read",
      id,
      phase: this.phase,
      stream,
      width,
      norm,
      eps,
      gain: `${id}.weight`,
    } as const;
    return this.#add(norm === "layer" ? { ...node, bias: `${id}.bias` } : node);
  }

  /** A stream as it stands. */
  peek(id: string, stream: string, width: number): string {
    return this.#add({ op: "peek", id, phase: this.phase, stream, width });
  }

  /** Values side by side. */
  join(id: string, xs: readonly string[]): string {
    return this.#add({ op: "join", id, phase: this.phase, xs });
  }

  /** Rows of values, one behind the other. */
  stack(id: string, xs: readonly string[]): string {
    return this.#add({ op: "stack", id, phase: this.phase, xs });
  }

  /** The first `count` rows of each image. */
  take(id: string, x: string, count: number): string {
    return this.#add({ op: "take", id, phase: this.phase, x, count });
  }

  /** Per-channel learned gain. */
  gain(id: string, x: string, width: number): string {
    const param = `${id}.weight`;
    return this.#add({ op: "gain", id, phase: this.phase, x, param, width });
  }

  /** RMSNorm of each head, with its learned gain. */
  headNorm(
    id: string,
    x: string,
    width: number,
    headDim: number,
    eps: number,
  ): string {
    const param = `${id}.weight`, { phase } = this;
    return this.#add({
      op: "headnorm",
      id,
      phase,
      x,
      width,
      headDim,
      eps,
      param,
    });
  }

  /** Attention. */
  attend(id: string, node: Omit<AttendNode, "op" | "id" | "phase">): string {
    return this.#add({ op: "attend", id, phase: this.phase, ...node });
  }

  /** A causal convolution of each channel along the tokens. */
  convolve(
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
      op: "convolve",
      id,
      phase: this.phase,
      x,
      ...(before === undefined ? {} : { before }),
      ...(behind === undefined ? {} : { behind }),
      width,
      taps,
      param: `${id}.weight`,
      ...(bias ? { bias: `${id}.bias` } : {}),
    });
  }

  /** fn(x), or fn(gate)·x. */
  act(
    id: string,
    fn: Activation,
    width: number,
    x: string,
    gate?: string,
  ): string {
    const node = { op: "act", id, phase: this.phase, fn, x, width } as const;
    return this.#add(gate === undefined ? node : { ...node, gate });
  }

  /** Pixel shuffle. */
  shuffle(id: string, x: string, width: number, factor: number): string {
    return this.#add({
      op: "shuffle",
      id,
      phase: this.phase,
      x,
      factor,
      width,
    });
  }

  /** The last row of each chunk. */
  last(id: string, x: string): string {
    return this.#add({ op: "last", id, phase: this.phase, x });
  }
}
