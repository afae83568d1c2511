/**
 * LayerNorm → RMSNorm, second half: folds a norm's gain γ and bias β into the linears
 * that read it: b ← b + Wβ, then W ← W·diag(γ). For a tied head the gain becomes a
 * node of its own, because the weight is also the embedding table. A norm that is
 * read by other ops (an activation, another stream) keeps gain and bias.
 * @module
 */
import type { NormNode } from "../graph/node.ts";
import { type Reader, streamsOf } from "../graph/stream.ts";
import { constant, type Tensor } from "../tensor/tensor.ts";
import {
  current,
  type Draft,
  edit,
  insertBefore,
  isTied,
  param,
  type Pass,
  pass,
  replace,
} from "./pass.ts";

/** Folds β into the reader's bias, adding one where there is none. */
function foldBias(draft: Draft, reader: Reader, beta: Tensor): void {
  const linear = current(draft, reader.linear), w = param(draft, linear.weight);
  const name = linear.bias ?? `${linear.id}.bias`;
  const old = linear.bias
    ? param(draft, linear.bias)
    : constant([linear.n], new Float64Array(linear.n));
  draft.params.set(name, {
    shape: [linear.n],
    read() {
      const b = old.read(), values = w.read(), shift = beta.read();
      for (let r = 0; r < linear.n; r++) {
        for (let c = 0; c < linear.k; c++) {
          b[r] += values[r * linear.k + c] * shift[c % shift.length];
        }
      }
      return b;
    },
  });
  if (!linear.bias) replace(draft, { ...linear, bias: name });
}

function fold(draft: Draft, read: NormNode, reader: Reader): void {
  const { linear } = reader;
  if (isTied(draft, linear)) {
    if (read.bias) {
      throw new RangeError(
        `Cannot fold "${read.id}" into "${linear.id}": its weight is the embedding table and the norm has a bias`,
      );
    }
    if (!read.weight) return;
    const id = `${linear.id}.gain`;
    insertBefore(draft, linear.id, {
      op: "channel_scale",
      id,
      phase: linear.phase,
      x: linear.x,
      weight: read.weight,
      width: read.width,
    });
    replace(draft, { ...current(draft, linear), x: id });
    return;
  }
  if (read.bias) foldBias(draft, reader, param(draft, read.bias));
  if (read.weight) {
    const gain = param(draft, read.weight);
    edit(draft, linear.weight, (w) => {
      const g = gain.read();
      for (let i = 0; i < w.length; i++) w[i] *= g[i % g.length];
      return w;
    });
  }
}

/** Folds every norm's gain and bias into the linears that read it. */
export const foldNorms: Pass = pass("fold-norms", (draft) => {
  for (const stream of streamsOf(draft.model.nodes)) {
    for (const { norm, readers } of stream.normReads) {
      if (!readers) continue;
      for (const reader of readers) fold(draft, norm, reader);
      const { weight: _gain, bias: _bias, ...bare } = current(draft, norm);
      replace(draft, bare);
    }
  }
});
