/**
 * Linears as integer products: those that share an input become one, those that
 * only add to a stream add to it themselves.
 * @module
 */
import { channel0Weight, siteScale, weightScale } from "../../graph/names.ts";
import {
  type LinearNode,
  modalityOf,
  type ResidualAddNode,
} from "../../graph/node.ts";
import {
  gemmScratchBytes,
  gemvScratchBytes,
  roundUp,
  type WeightBits,
} from "../../kernels/layout.ts";
import {
  type Amount,
  type Arg,
  type Buffer,
  packedBytes,
  type Packing,
  ref,
  type Scratch,
} from "../buffer.ts";
import type { StepKernel } from "../step.ts";
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
): ResidualAddNode | undefined {
  const users = l.consumers(node.id);
  const only = users.length === 1 ? users[0] : undefined;
  return only?.op === "residual_add" && only.phase === node.phase &&
      only.modality === modalityOf(node, l.byId) && only.columns === undefined
    ? only
    : undefined;
}

function packingOf({ model }: Lowering, { weight }: LinearNode): Packing {
  const bits = model.bits.get(weight) as WeightBits;
  const group = model.groups.get(weight);
  return group === undefined ? { bits } : { bits, group };
}

function samePacking(a: Packing, b: Packing): boolean {
  return a.bits === b.bits && a.group === b.group;
}

/** A linear, with those that share its input. */
export function lowerLinear(l: Lowering, node: LinearNode): void {
  if (l.emitted.has(node.id)) return;
  const codes = codesFor(l, node);
  if (fusedWrite(l, node)) return; // the write runs it
  const group = node.floatChannel0
    ? [node]
    : l.nodes.filter((n) =>
      n.op === "linear" && n.x === node.x && !n.floatChannel0 &&
      n.modality === node.modality &&
      samePacking(packingOf(l, n), packingOf(l, node)) && !fusedWrite(l, n)
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

/** One product with the weights of `linears` side by side. */
export function emitProduct(
  l: Lowering,
  linears: readonly LinearNode[],
  codes: Codes,
  out: Pick<Floats, "buffer" | "stride">,
  accumulate: (modality: number) => 0 | 1,
): void {
  const [first] = linears, { form, kp } = codes;
  const packing = packingOf(l, first);
  const label = linears.map((n) => n.id).join("+");
  const width = linears.reduce((sum, n) => sum + roundUp(n.n, 8), 0);
  let offset = 0;
  const parts = linears.map((n) => {
    const part = { tensor: n.weight, n: n.n, k: n.k, offset };
    offset += packedBytes(packing, n.n, n.k);
    return part;
  });
  const weights = l.store.weight(
    `panels ${linears.map((n) => n.weight).join("+")}`,
    offset,
    { packing, parts },
  );
  const memory = weights.memory ?? 0;
  const column = (
    key: string,
    values: (n: LinearNode) => Float32Array | undefined,
  ) =>
    l.store.constant(`${key} ${label}`, width * 4, () => {
      const all = new Float32Array(width);
      let at = 0;
      for (const n of linears) {
        const v = values(n);
        if (v) all.set(v, at);
        at += roundUp(n.n, 8);
      }
      return all;
    }, memory);
  const bias = linears.some((n) => n.bias !== undefined)
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
      const operands = [
        a,
        sums,
        ref(weights),
        ref(alpha(s.modality)),
        ref(bias),
        y,
      ];
      const { kernel, sizes, scratch } = form.group === 1
        ? rowOf(packing, kp)
        : rowsOf(packing, s.rows, kp, out.stride);
      const args = [...operands, ...sizes, n0, n1, ...scratch, add];
      const lo = operands.length + sizes.length;
      l.emit(kernel, label, args, s.rows, kp * (n1 - n0), {
        split: { lo, hi: lo + 1, unit: 8 },
        sync,
        ...when,
        memory,
      });
    });
  }
  if (away) bringBack(l, label, codes, out, away, memory);
  if (codes.outlier) emitRank1(l, first, codes, codes.outlier, out, width);
}

/** A kernel and its arguments beside operands and columns. */
interface Call {
  readonly kernel: StepKernel;
  readonly sizes: readonly Arg[];
  readonly scratch: readonly Scratch[];
}

/** One row of kp codes. */
function rowOf({ bits, group }: Packing, kp: number): Call {
  return group === undefined
    ? { kernel: `gemv_w${bits}a8`, sizes: [kp], scratch: [] }
    : {
      kernel: "gemv_w4ga8",
      sizes: [kp, group],
      scratch: [{ scratch: gemvScratchBytes(kp) }],
    };
}

/** Several rows of kp codes, those of the result `stride` floats apart. */
function rowsOf(
  { bits, group }: Packing,
  rows: Amount,
  kp: number,
  stride: number,
): Call {
  return group === undefined
    ? {
      kernel: `gemm_w${bits}a8`,
      sizes: [rows, kp, stride],
      scratch: [{ scratch: gemmScratchBytes(kp) }],
    }
    : {
      kernel: "gemm_w4ga8",
      sizes: [rows, kp, group, stride],
      scratch: [{ scratch: gemmScratchBytes(kp, true) }],
    };
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
    all.set(l.model.floats(channel0Weight(node)).map((w) => w / root)); // x₀ comes unnormalised
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
