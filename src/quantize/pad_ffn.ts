/**
 * Zero padding of feed-forward layers (MQuant §5). A hidden width such as 4304 =
 * 269·16 has only short Hadamard blocks. Padding adds neurons that are always 0
 * until one Hadamard transform covers the whole width: rows of zeros before an
 * activation with f(0) = 0, columns of zeros after it. The function is unchanged.
 * @module
 */
import {
  type ActivationNode,
  consumersOf,
  index,
  type LinearNode,
} from "../graph/node.ts";
import { rotation } from "../tensor/rotation.ts";
import { mapTensor } from "../tensor/tensor.ts";
import { type Draft, param, type Pass, pass, replace } from "./pass.ts";

/** Blocks shorter than this spread an outlier over too few channels. */
const SHORT = 64;
/** Widths are multiples of this. */
const STEP = 16;

/**
 * The smallest width ≥ n that one Hadamard transform covers; n itself where its
 * blocks are long enough, or where no such width is within `most`.
 * @param most largest width, as a multiple of n
 */
export function paddedWidth(n: number, most: number): number {
  const { block } = rotation(n, 0);
  if (block === n || block >= SHORT) return n;
  for (let w = Math.ceil(n / STEP) * STEP; w <= n * most; w += STEP) {
    if (rotation(w, 0).block === w) return w;
  }
  return n;
}

/** Zero-pads FFN hidden layers to at most `most` times their width. */
export function padFfn({ most = 1.1 } = {}): Pass {
  return pass("pad_ffn", (draft) => {
    for (const act of draft.model.nodes) {
      if (act.op !== "activation") continue;
      const width = paddedWidth(act.width, most);
      const layer = width > act.width ? hiddenLayer(draft, act) : undefined;
      if (!layer) continue;
      for (const { weight, bias } of layer.makers) {
        pad(draft, weight, 0, width);
        if (bias !== undefined) pad(draft, bias, 0, width);
      }
      for (const { weight } of layer.readers) pad(draft, weight, 1, width);
      for (const node of layer.makers) replace(draft, { ...node, n: width });
      replace(draft, { ...act, width });
      for (const node of layer.readers) replace(draft, { ...node, k: width });
    }
  });
}

/** The linears around an activation; undefined where other nodes read or write in between. */
function hiddenLayer(
  { model: { nodes } }: Draft,
  act: ActivationNode,
): { makers: LinearNode[]; readers: LinearNode[] } | undefined {
  const byId = index(nodes);
  const inputs = act.gate === undefined ? [act.x] : [act.x, act.gate];
  const makers = inputs.map(byId), readers = consumersOf(nodes, act.id);
  const linear = (n: { op: string }): n is LinearNode => n.op === "linear";
  const own = makers.every((m) => consumersOf(nodes, m.id).length === 1);
  return own && makers.every(linear) && readers.every(linear)
    ? { makers, readers }
    : undefined;
}

/** Appends zeros to a parameter along an axis, up to `size`. */
function pad(draft: Draft, name: string, axis: number, size: number): void {
  const t = param(draft, name), shape = t.shape.with(axis, size);
  const before = t.shape.slice(axis).reduce((a, b) => a * b, 1);
  const after = shape.slice(axis).reduce((a, b) => a * b, 1);
  draft.params.set(
    name,
    mapTensor(t, (values) => {
      const out = new Float64Array(values.length / before * after);
      for (let i = 0; i * before < values.length; i++) {
        out.set(values.subarray(i * before, (i + 1) * before), i * after);
      }
      return out;
    }, shape),
  );
}
