/**
 * The rotations of MQuant §5 (QuaRot): Hadamard through every residual stream
 * and between values and the output projection, folded into weights offline;
 * and one online transform before each down projection.
 * @module
 */
import { BOUNDED } from "../graph/activation.ts";
import {
  consumersOf,
  index,
  type LinearNode,
  type Node,
} from "../graph/node.ts";
import { keepsMean, type Stream, streamsOf } from "../graph/stream.ts";
import {
  rotate,
  type Rotation,
  rotation,
  wholeRotation,
} from "../tensor/rotation.ts";
import { preserveMean } from "./preserve_mean.ts";
import {
  current,
  type Draft,
  edit,
  insertBefore,
  insertBehind,
  isTied,
  type Pass,
  pass,
  replace,
  rotateInput,
  rotateOutput,
} from "./pass.ts";

/**
 * Rotates every residual stream by its own randomised Hadamard Q: writers
 * W ← QᵀW, readers W ← WQ, tables E ← EQ. RMSNorm without gain commutes with Q.
 * A tied head keeps the one rotated table EQ: its input is rotated back, scaled by
 * the gain, and rotated again (two fast transforms per generated token).
 *
 * Linears that read a stream without a norm read xQ too; other plain reads get x by
 * an online inverse. A norm that writes is rotated online. Where a LayerNorm reads a
 * stream that keeps its mean, Q has no random signs, so that the mean is channel 0
 * (preserve_mean.ts). A stream whose writers cannot be changed, or whose norm is
 * read by other ops than linears, is not rotated; its readers rotate online.
 */
export function rotateStreams(seed: number): Pass {
  return pass("rotate-streams", (draft) => {
    for (const stream of streamsOf(draft.model.nodes)) {
      if (stream.opaque || stream.normReads.some((r) => !r.readers)) {
        rotateReaders(draft, stream, seed);
        continue;
      }
      const linears = [...stream.normReads, ...stream.plainReads]
        .flatMap((r) => r.readers ?? []);
      if (linears.length === 0) continue; // no linear reads it
      const withMean = keepsMean(stream) &&
        stream.normReads.some(({ norm }) => norm.kind === "layer");
      const q = withMean
        ? wholeRotation(stream.width)
        : rotation(stream.width, seed, stream.name);
      for (const { norm } of stream.normReads) {
        if ((norm.kind !== "rms" && !withMean) || norm.weight || norm.bias) {
          throw new RangeError(
            `Cannot rotate stream "${stream.name}": norm "${norm.id}" does not commute with a rotation; center-writers and fold-norms must come first`,
          );
        }
      }
      rotateStream(draft, stream, q);
      if (withMean) preserveMean(draft, stream, q);
      unrotatePlainReads(draft, stream, q);
    }
  });
}

function rotateStream(draft: Draft, stream: Stream, q: Rotation): void {
  for (const writer of stream.writers) {
    if (writer.op === "linear") rotateOutput(draft, writer, q);
    else if (writer.op === "norm") {
      const id = `${writer.id}.rotate`, { phase } = writer;
      insertBehind(
        draft,
        writer.id,
        { op: "hadamard", id, phase, x: writer.id, rotation: q },
        stream.name,
      );
    } else edit(draft, writer.weight, (t) => (rotate(t, q), t));
  }
  const readers = [...stream.normReads, ...stream.plainReads]
    .flatMap((r) => r.readers ?? []);
  for (const { linear, gain } of readers) {
    if (!isTied(draft, linear)) {
      rotateInput(draft, linear, q);
      continue;
    }
    if (!gain) continue; // EQ reads xQ directly
    const back = `${linear.id}.unrotate`, forth = `${linear.id}.rotate`;
    const base = {
      op: "hadamard",
      phase: linear.phase,
      rotation: q,
    } as const;
    insertBefore(draft, gain.id, {
      ...base,
      id: back,
      x: gain.x,
      inverse: true,
    });
    replace(draft, { ...gain, x: back });
    insertBefore(draft, linear.id, { ...base, id: forth, x: gain.id });
    replace(draft, { ...current(draft, linear), x: forth });
  }
}

/** Rotates plain reads back, except those of linears, which are rotated themselves. */
function unrotatePlainReads(draft: Draft, stream: Stream, q: Rotation): void {
  for (const { node: read, readers } of stream.plainReads) {
    if (readers) continue;
    const id = `${read.id}.unrotate`;
    const x = draft.nodes.some((n) => n.id === `${read.id}.gain`)
      ? `${read.id}.gain`
      : read.id;
    insertBehind(draft, x, {
      op: "hadamard",
      id,
      phase: read.phase,
      x,
      rotation: q,
      inverse: true,
    });
  }
}

/** x ← xQ online in front of each linear that reads the stream, W ← WQ offline. */
function rotateReaders(draft: Draft, stream: Stream, seed: number): void {
  for (const { readers } of stream.normReads) {
    for (const { linear, repeat } of readers ?? []) {
      if (isTied(draft, linear) || repeat !== 1) continue;
      rotateBefore(draft, linear, seed);
    }
  }
}

function rotateBefore(draft: Draft, linear: LinearNode, seed: number): void {
  const id = `${linear.x}.rotate`; // linears that share an input share its rotation
  const q = rotation(linear.k, seed, id);
  if (!draft.nodes.some((n) => n.id === id)) {
    insertBefore(draft, linear.id, {
      op: "hadamard",
      id,
      phase: linear.phase,
      x: linear.x,
      rotation: q,
    });
  }
  replace(draft, { ...current(draft, linear), x: id });
  rotateInput(draft, linear, q);
}

/** One Hadamard per head between v and o: W_v ← HᵀW_v, W_o ← W_oH; valid for grouped queries too, all heads share it. */
export function rotateValues(seed: number): Pass {
  return pass("rotate-values", (draft) => {
    const byId = index(draft.model.nodes);
    for (const node of draft.model.nodes) {
      if (node.op !== "attention") continue;
      const values = sourceLinears(draft.model.nodes, byId(node.v));
      const out = consumersOf(draft.model.nodes, node.id);
      if (!values || out.length === 0 || !out.every((o) => o.op === "linear")) {
        throw new RangeError(
          `Cannot rotate the values of "${node.id}": v and o must be linears of their own`,
        );
      }
      const h = rotation(node.headDim, seed, node.id);
      for (const v of values) rotateOutput(draft, v, h);
      for (const o of out) rotateInput(draft, o, h);
    }
  });
}

/** The linears that compute a value and nothing else: the value's own, or the writers of the stream it reads (one per modality). */
function sourceLinears(
  nodes: readonly Node[],
  value: Node,
): LinearNode[] | undefined {
  const alone = (x: string) => consumersOf(nodes, x).length === 1;
  if (!alone(value.id)) return undefined;
  if (value.op === "linear") return [value];
  if (value.op !== "residual_read") return undefined;
  const { plainReads, normReads, writers, opaque } = streamsOf(nodes)
    .find((s) => s.name === value.stream)!;
  const linears = writers.filter((w) => w.op === "linear");
  const own = plainReads.length === 1 && normReads.length === 0 && !opaque &&
    linears.length === writers.length && linears.every((w) => alone(w.id));
  return own ? linears : undefined;
}

/**
 * x ← x·Q online before each linear that reads an activation, W ← WQ offline.
 * With `signs`, a random diagonal before the Hadamard spreads the positive mean of
 * GELU outputs over all channels (method §6, finding 2). Without, the mean is in
 * channel 0, and Rotation Magnitude Suppression splits it off.
 *
 * Values of a bounded function (ReLU6) stay as they are: they have no outliers, and
 * unrotated they go from the layer before to int8 in one step.
 */
export function rotateOnline(seed: number, { signs = true } = {}): Pass {
  return pass(signs ? "rotate-online" : "rotate-online-plain", (draft) => {
    for (const node of draft.model.nodes) {
      if (node.op !== "activation" && node.op !== "causal_conv1d") continue;
      if (node.op === "activation" && BOUNDED.has(node.fn)) continue;
      const linears = consumersOf(draft.model.nodes, node.id)
        .filter((n) => n.op === "linear");
      if (linears.length === 0) continue;
      const [{ id: first, phase, k }] = linears; // all share its rotation
      const id = `${first}.rotate`;
      const q = rotation(k, signs ? seed : 0, id);
      insertBefore(draft, first, {
        op: "hadamard",
        id,
        phase,
        x: node.id,
        rotation: q,
      });
      for (const linear of linears) {
        replace(draft, { ...linear, x: id });
        rotateInput(draft, linear, q);
      }
    }
  });
}
