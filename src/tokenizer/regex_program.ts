/**
 * Compiles the tree of a pattern to a program with the instructions take, fork,
 * jump, look and done. A repetition of n is unrolled n times.
 * @module
 */
import { TokenizerError } from "./error.ts";
import type { Node } from "./regex_parse.ts";

/** Opcodes; `a` and `b` are their operands. */
export const OP = {
  /** Consumes a character of set `a`. */
  take: 0,
  /** Continues at `a`, and if that fails at `b`. */
  fork: 1,
  /** Continues at `a`. */
  jump: 2,
  /** Continues if lookaround `a` holds. */
  look: 3,
  /** The pattern has matched. */
  done: 4,
} as const;

/** Instructions, by address. */
export interface Program {
  readonly op: Uint8Array;
  readonly a: Int32Array;
  readonly b: Int32Array;
}

/** A lookaround: what must, or must not, precede or follow a position. */
export interface Look {
  readonly program: Program;
  readonly behind: boolean;
  readonly not: boolean;
}

/** A compiled pattern. */
export interface Compiled {
  readonly program: Program;
  /** The lookarounds; each uses only earlier ones. */
  readonly looks: readonly Look[];
}

/**
 * Maximum instructions of a pattern, including lookarounds; real ones have up
 * to 120.
 */
export const MOST_INSTRUCTIONS = 1000;

/**
 * Compiles a tree.
 * @throws {TokenizerError} if it is too long, or a group that may be empty
 * repeats
 */
export function compilePattern(tree: Node): Compiled {
  const looks: Look[] = [], pay = payment();

  function program(node: Node): Program {
    const code: [op: number, a: number, b: number][] = [];
    const emit = (op: number, a = 0, b = 0): number => {
      pay();
      return code.push([op, a, b]) - 1;
    };
    /** Tries the next instruction before `b`, or after it if `lazy`. */
    const fork = (lazy: boolean): (elsewhere: number) => void => {
      const at = emit(OP.fork), here = at + 1;
      return (elsewhere) =>
        code[at] = lazy
          ? [OP.fork, elsewhere, here]
          : [OP.fork, here, elsewhere];
    };
    const write = (node: Node): void => {
      switch (node.kind) {
        case "set":
          emit(OP.take, node.set);
          return;
        case "sequence":
          return node.nodes.forEach(write);
        case "choice": {
          const ends: number[] = [];
          for (const inner of node.nodes.slice(0, -1)) {
            const other = fork(false);
            write(inner);
            ends.push(emit(OP.jump));
            other(code.length);
          }
          write(node.nodes.at(-1)!);
          for (const at of ends) code[at] = [OP.jump, code.length, 0];
          return;
        }
        case "repeat":
          return repeat(node);
        case "look": {
          const { behind, not } = node;
          const inner = program(node.node);
          emit(OP.look, looks.push({ program: inner, behind, not }) - 1);
        }
      }
    };
    const repeat = (
      { node, least, most, lazy }: Extract<Node, { kind: "repeat" }>,
    ) => {
      // JavaScript's way to leave out empty rounds is not worth its rules.
      if (most > least && mayBeEmpty(node)) {
        throw TokenizerError.inFile(
          "its pattern repeats a group that may be empty",
        );
      }
      for (let i = 0; i < least; i++) pay(), write(node);
      if (most === Infinity) {
        const begin = code.length, out = fork(lazy);
        write(node);
        emit(OP.jump, begin);
        return out(code.length);
      }
      const outs: ((to: number) => void)[] = [];
      for (let i = least; i < most; i++) {
        outs.push(fork(lazy));
        write(node);
      }
      for (const out of outs) out(code.length);
    };
    write(node);
    emit(OP.done);
    return {
      op: Uint8Array.from(code, ([op]) => op),
      a: Int32Array.from(code, ([, a]) => a),
      b: Int32Array.from(code, ([, , b]) => b),
    };
  }

  return { program: program(tree), looks };
}

/** Counts instructions; throws beyond the limit. */
function payment(): () => void {
  let count = 0;
  return () => {
    if (++count <= MOST_INSTRUCTIONS) return;
    throw TokenizerError.inFile(
      `its pattern takes more than ${MOST_INSTRUCTIONS} steps; lower its counts`,
    );
  };
}

/** Whether the empty text matches. */
function mayBeEmpty(node: Node): boolean {
  switch (node.kind) {
    case "set":
      return false;
    case "look":
      return true;
    case "sequence":
      return node.nodes.every(mayBeEmpty);
    case "choice":
      return node.nodes.some(mayBeEmpty);
    case "repeat":
      return node.least === 0 || mayBeEmpty(node.node);
  }
}

/**
 * Addresses of a program in reverse topological order: each follows those that
 * it reaches without consuming a character.
 */
export function inOrder({ op, a, b }: Program): Int32Array {
  const order: number[] = [], state = new Uint8Array(op.length); // 1: open, 2: listed
  for (let root = 0; root < op.length; root++) {
    const open = [root];
    while (open.length > 0) {
      const at = open.at(-1)!;
      if (state[at] === 2) {
        open.pop();
        continue;
      }
      if (state[at] === 1) {
        state[at] = 2;
        order.push(at);
        open.pop();
        continue;
      }
      state[at] = 1;
      if (op[at] === OP.fork) open.push(a[at], b[at]);
      else if (op[at] === OP.jump) open.push(a[at]);
      else if (op[at] === OP.look) open.push(at + 1);
    }
  }
  return Int32Array.from(order);
}
