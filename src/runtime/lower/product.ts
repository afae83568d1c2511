/**
 * Linears as integer products: those that share an input become one, those that
 * only add to a stream add to it themselves.
 * @module
 */
import { siteScale, splitWeight, weightScale } from "../../graph/names.ts";
import {
  type LinearNode,
  modalityOf,
  type WriteNode,
} from "../../graph/node.ts";
import {
  gemmScratchBytes,
  roundUp,
  type WeightBits,
  weightBytes,
} from "../../kernels/layout.ts";
import { type Buffer, ref } from "../buffer.ts";
import { codesFor } from "./codes.ts";
import { zeros } from "./constants.ts";
import { bringBack, sendAway } from "./away.ts";
import type { Lowering } from "./context.ts";
import type { Codes, Floats } from "./value.ts";

/** Multiply–adds of one step above which it is cut, so that cancelling stays quick. */
const MOST_WORK = 1.5e9;

/** The write that takes a linear's output and nothing else does. */
export function fusedWrite(
  l: Lowering,
  node: LinearNode,
): WriteNode | undefined {
  const users = l.consumers(node.id);
  const only = users.length === 1 ? users[0] : undefined;
  return only?.op === "write" && only.phase === node.phase &&
      only.rows === modalityOf(node, l.byId) && only.part === undefined
    ? only
    : undefined;
}

function bitsOf(l: Lowering, node: LinearNode): WeightBits {
  // Codes times the scales of their groups are 8-bit codes.
  return l.model.groups.has(node.weight)
    ? 8
    : l.model.bits.get(node.weight) as WeightBits;
}

/** A linear, with those that share its input. */
export function lowerLinear(l: Lowering, node: LinearNode): void {
  if (l.emitted.has(node.id)) return;
  const codes = codesFor(l, node);
  if (fusedWrite(l, node)) return; // the write runs it
  const group = node.split
    ? [node]
    : l.nodes.filter((n) =>
      n.op === "linear" && n.x === node.x && !n.split &&
      n.rows === node.rows &&
      bitsOf(l, n) === bitsOf(l, node) && !fusedWrite(l, n)
    ) as LinearNode[];
  const width = group.reduce((sum, n) => sum + roundUp(n.n, 8), 0);
  const form = l.madeBy(node, codes.form);
  const out = l.rows(group.map((n) => n.id).join("+"), form, width);
  emitProduct(l, group, { ...codes, form }, out, () => 0);
  let column = 0;
  for (const n of group) {
    l.values.set(n.id, { ...out, column });
    l.emitted.add(n.id);
    column += roundUp(n.n, 8);
  }
}

/** One product with the weights of `group` side by side. */
export function emitProduct(
  l: Lowering,
  group: readonly LinearNode[],
  codes: Codes,
  out: Pick<Floats, "buffer" | "stride">,
  accumulate: (modality: number) => 0 | 1,
): void {
  const [first] = group, bits = bitsOf(l, first), { form, kp } = codes;
  const label = group.map((n) => n.id).join("+");
  const width = group.reduce((sum, n) => sum + roundUp(n.n, 8), 0);
  let offset = 0;
  const parts = group.map((n) => {
    const group = l.model.groups.get(n.weight);
    const part = {
      tensor: n.weight,
      n: n.n,
      k: n.k,
      offset,
      ...(group === undefined ? {} : { group }),
    };
    offset += weightBytes(bits, n.n, n.k);
    return part;
  });
  const weights = l.store.weight(
    `panels ${group.map((n) => n.weight).join("+")}`,
    offset,
    { bits, parts },
  );
  const memory = weights.memory ?? 0;
  const column = (
    key: string,
    values: (n: LinearNode) => Float32Array | undefined,
  ) =>
    l.store.constant(`${key} ${label}`, width * 4, () => {
      const all = new Float32Array(width);
      let at = 0;
      for (const n of group) {
        const v = values(n);
        if (v) all.set(v, at);
        at += roundUp(n.n, 8);
      }
      return all;
    }, memory);
  const bias = group.some((n) => n.bias !== undefined)
    ? column(
      "bias",
      (n) => n.bias === undefined ? undefined : l.model.floats(n.bias),
    )
    : zeros(l, width, memory);
  const alpha = (modality: number) =>
    column(`alpha ${modality}`, (n) => {
      const scales = l.model.scales(siteScale(n));
      const s = scales[Math.min(modality, scales.length - 1)];
      return l.model.scales(weightScale(n.weight)).map((w) => s * w);
    });
  const pieces = Math.ceil(form.most * kp * width / MOST_WORK);
  const step = roundUp(Math.ceil(width / pieces), 8);
  l.meetBefore(out.buffer);
  // Rows of the other modality come along, too, and go back as they were.
  const adds = form.of !== undefined ||
    form.segments.some((s) => accumulate(s.modality) === 1);
  const away = memory === 0
    ? undefined
    : sendAway(l, label, codes, out, memory, adds);
  const here = away ?? { a: codes.a, sums: codes.sums, y: out.buffer };
  for (let n0 = 0; n0 < width; n0 += step) {
    const n1 = Math.min(width, n0 + step);
    l.perSegment(form, (s, sync) => {
      const y = ref(here.y, 0, s.start, out.stride * 4);
      const a = ref(here.a, 0, s.packed, kp);
      const sums = ref(here.sums, 0, s.packed, 4);
      const when = s.when === undefined ? {} : { when: s.when };
      const add = accumulate(s.modality);
      if (form.group === 1) {
        l.emit(
          `gemv_w${bits}a8`,
          label,
          [
            a,
            sums,
            ref(weights),
            ref(alpha(s.modality)),
            ref(bias),
            y,
            kp,
            n0,
            n1,
            add,
          ],
          1,
          kp * (n1 - n0),
          { split: { lo: 7, hi: 8, unit: 8 }, sync, ...when, memory },
        );
      } else {
        l.emit(
          `gemm_w${bits}a8`,
          label,
          [
            a,
            sums,
            ref(weights),
            ref(alpha(s.modality)),
            ref(bias),
            y,
            s.rows,
            kp,
            out.stride,
            n0,
            n1,
            { scratch: gemmScratchBytes(kp) },
            add,
          ],
          s.rows,
          kp * (n1 - n0),
          { split: { lo: 9, hi: 10, unit: 8 }, sync, ...when, memory },
        );
      }
    });
  }
  if (away) bringBack(l, label, codes, out, away, memory);
  if (codes.outlier) emitRank1(l, first, codes, codes.outlier, out, width);
}

/** y += x₀·w₀ᵀ: the channel that Rotation Magnitude Suppression split off. */
function emitRank1(
  l: Lowering,
  node: LinearNode,
  codes: Codes,
  outlier: Buffer,
  out: Pick<Floats, "buffer" | "stride">,
  width: number,
): void {
  const w0 = l.store.constant(`split ${node.id}`, width * 4, () => {
    const all = new Float32Array(width), root = Math.sqrt(node.k);
    all.set(l.model.floats(splitWeight(node)).map((w) => w / root)); // x₀ comes unnormalised
    return all;
  });
  l.perSegment(codes.form, (s, sync) =>
    l.emit(
      "rank1_f32",
      node.id,
      [
        ref(out.buffer, 0, s.start, out.stride * 4),
        ref(outlier, 0, s.start, 4),
        ref(w0),
        s.rows,
        0,
        width,
        out.stride,
      ],
      s.rows,
      width,
      {
        split: { lo: 4, hi: 5, unit: 8 },
        sync,
        ...(s.when === undefined ? {} : { when: s.when }),
      },
    ));
}
