/**
 * Converts named operands of a kernel call to the positional arguments of a step.
 * @module
 */
import type {
  Operands,
  Pointer,
  Range,
  Scratch as ScratchOperand,
  Signature,
  Sizes,
} from "../../kernels/signature.ts";
import type { Amount, Arg, Ref } from "../buffer.ts";
import type { Split } from "../step.ts";

/** A range, `to` exclusive. */
export interface Span {
  readonly from: Amount;
  readonly to: Amount;
}

/** The range from 0 to `to`. */
export const all = (to: Amount): Span => ({ from: 0, to });

type PlannedOperand<O> = O extends Range ? Span
  : O extends Pointer<false> ? Ref
  : O extends Pointer ? Ref | 0
  : Amount;

/** Operands of a call by name, except scratch, whose size follows from the others. */
export type PlannedCall<O extends Operands> = {
  readonly [
    K in keyof O as O[K] extends ScratchOperand ? never : K
  ]: PlannedOperand<O[K]>;
};

/** Largest value of an amount; undefined where `most` of a register is not given. */
const largest = (amount: Amount): number | undefined =>
  typeof amount === "number" ? amount : amount.most;

/** Arguments of a step, and the range that threads divide. */
export function argsOf<O extends Operands>(
  kernel: Signature<O>,
  call: PlannedCall<O>,
): { readonly args: readonly Arg[]; readonly split?: Split } {
  const given = call as Readonly<Record<string, Ref | Amount | Span>>;
  const sizes: Record<string, number> = {};
  for (const [name, { kind }] of Object.entries(kernel.operands)) {
    const amount = kind === "range"
      ? (given[name] as Span).to
      : given[name] as Amount;
    if (kind !== "size" && kind !== "range") continue;
    const most = largest(amount);
    if (most !== undefined) sizes[name] = most;
  }
  const args: Arg[] = [];
  let split: Split | undefined;
  for (const [name, operand] of Object.entries(kernel.operands)) {
    if (operand.kind === "scratch") {
      args.push({ scratch: scratchBytes(kernel.name, operand, sizes) });
    } else if (operand.kind === "range") {
      const { from, to } = given[name] as Span;
      const unit = typeof operand.unit === "number"
        ? operand.unit
        : sizes[operand.unit];
      split = { lo: args.length, hi: args.length + 1, unit };
      args.push(from, to);
    } else args.push(given[name] as Ref | Amount);
  }
  return split ? { args, split } : { args };
}

function scratchBytes(
  kernel: string,
  { bytes }: ScratchOperand,
  sizes: Sizes,
): number {
  const size = bytes(sizes);
  if (Number.isFinite(size)) return size;
  throw new TypeError(
    `Cannot plan ${kernel}: the largest value of a size must be given as "most"`,
  );
}
