/**
 * Bounds check of a step: the bytes that a kernel's signature states for each operand
 * must lie in the buffer that the operand points into.
 * @module
 */
import { named, type Operands, type Signature } from "../kernels/signature.ts";
import { signatures } from "../kernels/signatures/mod.ts";
import type { Amount, Arg, Ref } from "./buffer.ts";
import type { DraftStep } from "./lower/context.ts";
import { CROSS_MEMORY_COPY } from "./step.ts";

/**
 * Describes an access of a step outside its buffers, for given registers.
 * @returns undefined where there is none, or the step is skipped
 */
export function outOfBounds(
  step: DraftStep,
  registers: Int32Array,
): string | undefined {
  const { kernel, args, when, label } = step;
  if (
    kernel === CROSS_MEMORY_COPY ||
    (when !== undefined && registers[when] === 0)
  ) return;
  const signature = signatures[kernel] as unknown as Signature<Operands>;
  const given = named(
    signature,
    args as unknown as readonly number[],
  ) as unknown as Readonly<Record<string, Arg | readonly [Amount, Amount]>>;
  const value = (amount: Amount): number =>
    typeof amount === "number"
      ? amount
      : registers[amount.register] * (amount.scale ?? 1);
  const sizes: Record<string, number> = {};
  for (const [name, { kind }] of Object.entries(signature.operands)) {
    if (kind === "size") sizes[name] = value(given[name] as Amount);
    if (kind === "range") {
      sizes[name] = value((given[name] as readonly [Amount, Amount])[1]);
    }
  }
  for (const [name, operand] of Object.entries(signature.operands)) {
    if (operand.kind !== "pointer" || given[name] === 0) continue;
    const { buffer, offset, register, scale = 1 } = given[name] as Ref;
    const bytes = operand.bytes(sizes);
    if (bytes === undefined) continue;
    const dynamic = register === undefined || buffer.perThread !== undefined
      ? 0
      : registers[register] * scale;
    const end = offset + dynamic + bytes;
    const room = buffer.perThread ?? buffer.bytes;
    if (end > room) {
      return `${kernel} of "${label}": ${name} ends at ${end} in "${buffer.name}" of ${room} bytes`;
    }
  }
}
