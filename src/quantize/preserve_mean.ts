/**
 * LayerNorm → RMSNorm on a stream whose mean must be kept, because a node reads
 * the stream without a norm (InternVL's connector applies a LayerNorm of its own to
 * four concatenated patches, so the differences of their means matter). After a
 * Hadamard without signs, channel 0 is √d·mean and contains nothing else. Writers
 * scale that channel by 2⁻²⁴: its digits stay in float, the RMS over all channels
 * does not notice it, and readers behind the norm have zero weights for it. Plain
 * reads multiply it by 2²⁴. The factor is a power of two, so nothing is rounded. A
 * norm that writes to the stream (before a tower) is rotated and scaled online.
 * @module
 */
import type { Stream, Writer } from "../graph/stream.ts";
import type { NormNode, ResidualReadNode } from "../graph/node.ts";
import { constant } from "../tensor/tensor.ts";
import type { Rotation } from "../tensor/rotation.ts";
import { type Draft, edit, insertBehind, replace } from "./pass.ts";

const SMALL = 2 ** -24;

/**
 * Keeps the mean of a stream that was just rotated by `q`.
 * @throws {RangeError} where the mean is not one channel of the rotated stream
 */
export function preserveMean(draft: Draft, stream: Stream, q: Rotation): void {
  if (q.block !== q.n || q.seed !== 0) {
    throw new RangeError(
      `Cannot keep the mean of stream "${stream.name}": its width ${q.n} has no Hadamard transform in one block`,
    );
  }
  for (const writer of stream.writers) {
    if (writer.op !== "norm") shrink(draft, writer);
    else scaleMean(draft, writer, `${writer.id}.rotate`, SMALL, stream.name);
  }
  for (const { norm, readers } of stream.normReads) {
    if (norm.kind === "rms") {
      throw new RangeError(
        `Cannot keep the mean of stream "${stream.name}": RMSNorm "${norm.id}" needs it`,
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
  for (const { node: read } of stream.plainReads) {
    scaleMean(draft, read, read.id, 1 / SMALL);
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
