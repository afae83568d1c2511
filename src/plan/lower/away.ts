/**
 * Operands of a product whose weights lie in another memory (memories.ts).
 * @module
 */
import type { Buffer } from "../buffer.ts";
import { ref } from "../buffer.ts";
import { MOVE } from "../step.ts";
import type { Lowering } from "./context.ts";
import type { Codes, Floats } from "./value.ts";

/** Where a product finds its operands. */
export interface Operands {
  readonly a: Buffer;
  readonly sums: Buffer;
  readonly y: Buffer;
}

/** Copies of a product's operands in `memory`; its rows come along where it adds to them. */
export function sendAway(
  l: Lowering,
  label: string,
  { a, sums, form }: Codes,
  out: Pick<Floats, "buffer" | "stride">,
  memory: number,
  adds: boolean,
): Operands {
  const bytes = form.most * out.stride * 4;
  const there = (name: string, bytes: number) =>
    l.temporary(`${label} ${name} @${memory}`, bytes, false, memory);
  const operands = {
    a: there("codes", a.perThread ?? a.bytes),
    sums: there("sums", sums.perThread ?? sums.bytes),
    y: there("rows", bytes),
  };
  move(l, label, a, operands.a, memory, true);
  move(l, label, sums, operands.sums, memory, true);
  if (adds) rows(l, label, out, operands.y, memory, form.rows, true);
  return operands;
}

/** Moves a product's rows back. */
export function bringBack(
  l: Lowering,
  label: string,
  { form }: Codes,
  out: Pick<Floats, "buffer" | "stride">,
  { y }: Operands,
  memory: number,
): void {
  rows(l, label, out, y, memory, form.rows, false);
}

function rows(
  l: Lowering,
  label: string,
  { buffer, stride }: Pick<Floats, "buffer" | "stride">,
  away: Buffer,
  memory: number,
  count: Codes["form"]["rows"],
  there: boolean,
): void {
  const bytes = typeof count === "number"
    ? count * stride * 4
    : { ...count, scale: (count.scale ?? 1) * stride * 4 };
  const [from, to] = there ? [buffer, away] : [away, buffer];
  const memories = there ? [0, memory] : [memory, 0];
  const args = [memories[0], ref(from), memories[1], ref(to), bytes];
  l.emit(MOVE, label, args, 0, 0);
}

function move(
  l: Lowering,
  label: string,
  from: Buffer,
  to: Buffer,
  memory: number,
  sync: boolean,
): void {
  l.emit(MOVE, label, [0, ref(from), memory, ref(to), to.bytes], 0, 0, {
    sync,
  });
}
