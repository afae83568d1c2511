/**
 * LayerNorm → RMSNorm where the mean may not be lost, because somebody takes
 * the stream as it stands (InternVL's connector has a LayerNorm of its own over
 * four patches side by side, which sees how the four means differ). After a
 * Hadamard without signs the mean is channel 0, √d·mean, and nothing else is in
 * it. Writers make that channel 2⁻²⁴ as large: float keeps its digits, but an
 * RMS over all channels no longer feels it, and what the norm hands on in it
 * readers ignore. Who peeks multiplies it by 2²⁴ again. Nothing is rounded: the
 * factor is a power of two. A norm that writes (in front of a tower) is rotated
 * online and made small there.
 * @module
 */
import type { Stream, Writer } from "../graph/stream.ts";
import type { NormNode, ResidualReadNode } from "../graph/node.ts";
import { constant } from "../tensor/tensor.ts";
import type { Rotation } from "../tensor/rotation.ts";
import { type Draft, edit, insertBehind, replace } from "./pass.ts";

const SMALL = 2 ** -24;

/**
 * Hides the mean of a stream that was just rotated by `q`.
 * @throws {RangeError} where the mean is not one channel of the rotated stream
 */
export function hideMean(draft: Draft, stream: Stream, q: Rotation): void {
  if (q.block !== q.n || q.seed !== 0) {
    throw new RangeError(
      `Cannot hide the mean of stream "${stream.name}": its width ${q.n} has no Hadamard transform in one block`,
    );
  }
  for (const writer of stream.writers) {
    if (writer.op !== "norm") shrink(draft, writer);
    else scaleMean(draft, writer, `${writer.id}.rotate`, SMALL, stream.name);
  }
  for (const { norm, readers } of stream.normReads) {
    if (norm.kind === "rms") {
      throw new RangeError(
        `Cannot hide the mean of stream "${stream.name}": RMSNorm "${norm.id}" needs it`,
      );
    }
    replace(draft, { ...norm, kind: "rms" });
    for (const { linear } of readers!) {
      edit(draft, linear.weight, (w) => {
        for (let i = 0; i < w.length; i += stream.width) w[i] = 0;
        return w;
      });
    }
  }
  for (const { node: peek } of stream.plainReads) {
    scaleMean(draft, peek, peek.id, 1 / SMALL);
  }
}

/** Multiplies channel 0 of the value `x`, online, for all who use it or for the writes to a stream. */
function scaleMean(
  draft: Draft,
  { id: node, phase, width }: ResidualReadNode | NormNode,
  x: string,
  factor: number,
  stream?: string,
): void {
  const id = `${node}.gain`, param = `${id}.weight`;
  const gain = new Float64Array(width).fill(1);
  gain[0] = factor;
  draft.params.set(param, constant([width], gain));
  insertBehind(draft, x, {
    op: "channel_scale",
    id,
    phase,
    x,
    weight: param,
    width,
  }, stream);
}

function shrink(draft: Draft, writer: Exclude<Writer, NormNode>): void {
  const first = (width: number) => (x: Float64Array) => {
    for (let i = 0; i < x.length; i += width) x[i] *= SMALL;
    return x;
  };
  if (writer.op !== "linear") {
    edit(draft, writer.weight, first(writer.width));
    return;
  }
  edit(draft, writer.weight, (w) => { // row 0
    for (let i = 0; i < writer.k; i++) w[i] *= SMALL;
    return w;
  });
  if (writer.bias) edit(draft, writer.bias, first(writer.n));
}
