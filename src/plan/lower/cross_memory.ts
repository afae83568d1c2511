/**
 * Copies the operands of a matmul to the memory of its weights, and its result
 * back (memories.ts).
 * @module
 */
import type { Amount, Buffer } from "../buffer.ts";
import type { Lowering } from "./context.ts";
import type { Floats, Quantized } from "./value.ts";

/** Operands of a matmul in one memory. */
export interface Operands {
  readonly values: Buffer;
  readonly sums: Buffer;
  readonly y: Buffer;
}

/** Copies a matmul's operands to `memory`; its result too, where the matmul adds to it. */
export function copyOperands(
  l: Lowering,
  label: string,
  { values, sums, layout }: Quantized,
  out: Pick<Floats, "buffer" | "stride">,
  memory: number,
  adds: boolean,
): Operands {
  const copy = (name: string, bytes: number) =>
    l.temporary(`${label} ${name} @${memory}`, bytes, false, memory);
  const operands = {
    values: copy("int8", values.perThread ?? values.bytes),
    sums: copy("sums", sums.perThread ?? sums.bytes),
    y: copy("rows", layout.maxRows * out.stride * 4),
  };
  l.copyAcross(
    label,
    [0, values],
    [memory, operands.values],
    operands.values.bytes,
  );
  l.copyAcross(label, [0, sums], [memory, operands.sums], operands.sums.bytes);
  if (adds) {
    const bytes = bytesOf(layout.rows, out.stride);
    l.copyAcross(label, [0, out.buffer], [memory, operands.y], bytes);
  }
  return operands;
}

/** Copies a matmul's result back. */
export function copyResultBack(
  l: Lowering,
  label: string,
  { layout }: Quantized,
  out: Pick<Floats, "buffer" | "stride">,
  { y }: Operands,
  memory: number,
): void {
  const bytes = bytesOf(layout.rows, out.stride);
  l.copyAcross(label, [memory, y], [0, out.buffer], bytes);
}

/** Bytes of float rows. */
function bytesOf(rows: Amount, stride: number): Amount {
  return typeof rows === "number"
    ? rows * stride * 4
    : { ...rows, scale: (rows.scale ?? 1) * stride * 4 };
}
