/**
 * LayerNorm → RMSNorm, first half (MQuant §A.2; SliceGPT). If no writer adds a
 * channel mean to a stream, LayerNorm equals RMSNorm on it. With M = I − 11ᵀ/d every
 * writer becomes W ← MW, b ← Mb, table ← table·M. A stream that is also read without
 * a norm, or whose writers cannot be changed, keeps its mean; the rotation handles
 * it (preserve_mean.ts). A norm behind a sub-layer (method §4, form B) is the norm of
 * a stream of its own, so the sub-layer's last linear is centered like any writer.
 * @module
 */
import type { NormNode } from "../graph/node.ts";
import { keepsMean, streamsOf, type Writer } from "../graph/stream.ts";
import { type Draft, edit, type Pass, pass, replace } from "./pass.ts";

/** Subtracts from each row of `x` its mean. */
function centerRows(x: Float64Array, width: number): Float64Array {
  for (let row = 0; row < x.length; row += width) {
    let mean = 0;
    for (let i = 0; i < width; i++) mean += x[row + i];
    mean /= width;
    for (let i = 0; i < width; i++) x[row + i] -= mean;
  }
  return x;
}

/** Subtracts from each column of W [n, k] its mean over the n outputs. */
function centerColumns(w: Float64Array, n: number, k: number): Float64Array {
  for (let c = 0; c < k; c++) {
    let mean = 0;
    for (let r = 0; r < n; r++) mean += w[r * k + c];
    mean /= n;
    for (let r = 0; r < n; r++) w[r * k + c] -= mean;
  }
  return w;
}

function center(
  draft: Draft,
  writer: Exclude<Writer, NormNode>,
): void {
  if (writer.op !== "linear") {
    edit(draft, writer.weight, (t) => centerRows(t, writer.width));
    return;
  }
  edit(draft, writer.weight, (w) => centerColumns(w, writer.n, writer.k));
  if (writer.bias) edit(draft, writer.bias, (b) => centerRows(b, writer.n));
}

/** Makes every stream that is read through LayerNorm mean-free, and its norms RMSNorms. */
export const centerWriters: Pass = pass("center-writers", (draft) => {
  for (const stream of streamsOf(draft.model.nodes)) {
    const norms = new Set(stream.normReads.map((r) => r.norm.kind));
    if (!norms.has("layer") || stream.opaque || keepsMean(stream)) continue;
    if (norms.size > 1) {
      throw new RangeError(
        `Cannot center stream "${stream.name}": it is read through LayerNorm and RMSNorm, and an RMSNorm needs the mean`,
      );
    }
    for (const writer of stream.writers) {
      if (writer.op !== "norm") center(draft, writer);
    }
    for (const { norm } of stream.normReads) {
      replace(draft, { ...norm, kind: "rms" });
    }
  }
});
