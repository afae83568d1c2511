/**
 * Detects whether quantizing kernels adapt to their input. A kernel with a static
 * scale saturates when its input is multiplied by a thousand, and gives zeros when it
 * is divided by a thousand; a dynamic kernel does neither.
 * @module
 */
import {
  activationOffset,
  keyOffset,
  paddedK,
  type RowBlock,
  valueOffset,
} from "../../src/kernels/layout.ts";
import { referenceKernels } from "../../src/kernels/reference/mod.ts";
import {
  type KernelFunction,
  named,
  type Operands,
  positional,
  type Signature,
} from "../../src/kernels/signature.ts";
import {
  type KernelName,
  type Kernels,
  signatures,
} from "../../src/kernels/signatures/mod.ts";

/** Values of a call by name. */
type Values = Record<string, number> & {
  readonly rows: readonly [number, number];
};

/** A kernel that quantizes: where its values go, and how its input is scaled. */
interface Quantizer {
  /** Byte addresses of the int8 values of a call. */
  readonly at: (c: Values) => number[];
  /**
   * Operand that points to the float rows it is linear in. Behind a norm or an
   * activation function, `inv` instead: a kernel that heeds it is linear in it.
   */
  readonly input: (c: Values) => "x" | "u" | "inv";
}

const rowsOf = (c: Values): number[] => {
  const kp = paddedK(c.k), out: number[] = [];
  for (let r = c.rows[0]; r < c.rows[1]; r++) {
    for (let j = 0; j < c.k; j++) {
      out.push(c.q + activationOffset(r, j, kp, c.rowBlock as RowBlock));
    }
  }
  return out;
};

const headsOf = (
  offset: (c: Values, row: number, head: number, d: number) => number,
) =>
(c: Values): number[] => {
  const out: number[] = [];
  for (let r = c.rows[0]; r < c.rows[1]; r++) {
    for (let h = 0; h < c.heads; h++) {
      for (let d = 0; d < c.headDim; d++) out.push(offset(c, r, h, d));
    }
  }
  return out;
};

const head = (c: Values, h: number) => c.cache + h * c.capacity * c.headDim;

/** Columns of rows as they stand. */
const columnsOf = (c: Values): number[] => {
  const out: number[] = [], [first, end] = c.n as unknown as [number, number];
  for (let r = 0; r < (c.rows as unknown as number); r++) {
    for (let n = first; n < end; n++) out.push(c.q + r * c.ldq + n);
  }
  return out;
};

/** All kernels that quantize floats. */
export const QUANTIZERS: Partial<Record<KernelName, Quantizer>> = {
  quantize_f32_s8: { at: rowsOf, input: () => "x" },
  hadamard_f32_s8: { at: rowsOf, input: () => "x" },
  rmsnorm_f32_s8: { at: rowsOf, input: () => "inv" },
  activation_f32_s8: { at: rowsOf, input: (c) => c.u ? "u" : "inv" },
  activation_hadamard_f32_s8: { at: rowsOf, input: (c) => c.u ? "u" : "inv" },
  gemm_w4a8_s8: { at: columnsOf, input: () => "inv" },
  gemm_w8a8_s8: { at: columnsOf, input: () => "inv" },
  depthwise_w8a8_s8: { at: rowsOf, input: () => "inv" },
  queries_f32_s8: {
    at: headsOf((c, r, h, d) => c.q + (r * c.heads + h) * c.headDim + d),
    input: () => "x",
  },
  keys_f32_s8: {
    at: headsOf((c, r, h, d) =>
      head(c, h) + keyOffset(c.slot + r, d, c.headDim)
    ),
    input: () => "x",
  },
  values_f32_s8: {
    at: headsOf((c, r, h, d) =>
      head(c, h) + valueOffset(c.slot + r, d, c.capacity)
    ),
    input: () => "x",
  },
};

/** What was seen of a kernel. */
export interface Seen {
  /** Values that were not zero and saturated a thousandfold. */
  saturated: number;
  /** Values that were not zero and vanished a thousandth. */
  vanished: number;
  /** The first value that did not, in words. */
  adapted?: string;
}

/**
 * Reference kernels that run each quantizing call three times: as it is, with its
 * input a thousandfold, and with a thousandth; memory ends as after the first.
 * @param replace kernels to run in the place of others
 */
export function watching(
  seen: Map<KernelName, Seen>,
  replace: (buffer: ArrayBufferLike) => Partial<Kernels> = () => ({}),
): (buffer: ArrayBufferLike) => Kernels {
  return (buffer) => {
    const kernels = { ...referenceKernels(buffer), ...replace(buffer) };
    const watched = Object.entries(QUANTIZERS).map(([name, quantizer]) => [
      name,
      watchedKernel(name as KernelName, kernels, quantizer!, buffer, seen),
    ]);
    return { ...kernels, ...Object.fromEntries(watched) };
  };
}

function watchedKernel(
  name: KernelName,
  kernels: Kernels,
  quantizer: Quantizer,
  buffer: ArrayBufferLike,
  seen: Map<KernelName, Seen>,
): KernelFunction {
  const signature = signatures[name] as unknown as Signature<Operands>;
  const int8 = new Int8Array(buffer), f32 = new Float32Array(buffer);
  return (...parameters) => {
    const call = named(signature, parameters) as unknown as Values;
    const input = quantizer.input(call);
    const at = quantizer.at(call);
    const run = (factor: number): Int8Array => {
      let given = call;
      const rows: [number, Float32Array][] = [];
      if (input === "inv" && typeof call.inv === "number") {
        given = { ...call, inv: call.inv * factor } as unknown as Values;
      } else if (factor !== 1) {
        const width = call.k ?? call.heads * call.headDim;
        for (let r = call.rows[0]; r < call.rows[1]; r++) {
          const from = (call[input] >> 2) + r * call.ldx;
          const row = f32.subarray(from, from + width);
          rows.push([from, row.slice()]);
          row.forEach((x, i) => row[i] = x * factor);
        }
      }
      kernels[name](...positional(signature, given as never));
      for (const [from, row] of rows) f32.set(row, from);
      return Int8Array.from(at, (a) => int8[a]);
    };
    const large = run(1000), small = run(0.001), usual = run(1);
    const { low = -128, high = 127 } = call;
    const ends = [Math.round(low), Math.round(high)] as const;
    note(name, usual, large, small, ends, seen);
  };
}

/** Compares the values of the three runs; `ends` are the least and the greatest there can be. */
function note(
  name: KernelName,
  usual: Int8Array,
  large: Int8Array,
  small: Int8Array,
  [least, greatest]: readonly [number, number],
  all: Map<KernelName, Seen>,
): void {
  const seen = all.get(name) ?? { saturated: 0, vanished: 0 };
  all.set(name, seen);
  usual.forEach((q, i) => {
    if (q === 0) return; // ±0.49 of a level may become anything
    const end = q > 0 ? greatest : least;
    if (large[i] === end) seen.saturated++;
    else seen.adapted ??= `${q} became ${large[i]} with its input × 1000`;
    if (q === greatest || q === least) return; // may have been far beyond
    if (small[i] === 0) seen.vanished++;
    else seen.adapted ??= `${q} became ${small[i]} with its input × 0.001`;
  });
}
