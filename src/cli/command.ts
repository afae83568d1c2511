/**
 * A command: a table of options and a function. Parsing, help, docs/cli.md,
 * shell completion and suggestions all read this table.
 * @module
 */
import { parseArgs } from "node:util";
import { UsageError } from "./errors.ts";
import type { Io } from "./io.ts";
import { nearest } from "./suggest.ts";

/** One `--option`. */
export interface Option {
  /** Type of its value; a boolean has none. */
  readonly type: "string" | "boolean" | "integer" | "number";
  /** Placeholder of the value in help. */
  readonly value?: string;
  /** One line of help. */
  readonly help: string;
  /** Minimum. */
  readonly min?: number;
  /** Maximum. */
  readonly max?: number;
  /** Allowed values. */
  readonly choices?: readonly string[];
  /** Default. */
  readonly default?: string | number;
}

/** Options of a command by name. */
export type Options = Readonly<Record<string, Option>>;

type ValueOf<O extends Option> = O["type"] extends "boolean" ? boolean
  :
    | (O["type"] extends "string" ? string : number)
    | (O extends { default: string | number } ? never : undefined);

/** Parsed options of a command. */
export type Values<T extends Options> = {
  readonly [K in keyof T]: ValueOf<T[K]>;
};

/** A command with typed options. */
export interface Definition<T extends Options> {
  /** Word after `mquant`. */
  readonly name: string;
  /** One line: what it does. */
  readonly summary: string;
  /** Operands as shown in help, such as `PHOTO...`. */
  readonly operands: string;
  /** Minimum and maximum number of operands. */
  readonly arity: readonly [number, number];
  /** Its options. */
  readonly options: T;
  /** Further help text, after the options. */
  readonly notes?: string;
  /** Deno permissions that it needs. */
  readonly permissions: string;
  /**
   * Effect of Ctrl-C: `ask` (default) aborts `io.signal`, for work that lets
   * the event loop run; `kill` leaves it to the system.
   */
  readonly interrupt?: "ask" | "kill";
  /** Runs the command; returns the exit code. */
  run(
    operands: readonly string[],
    options: Values<T>,
    io: Io,
  ): Promise<number>;
}

/** Any command. */
// deno-lint-ignore no-explicit-any
export type Command = Definition<any>;

/** Defines a command; infers the types of its options. */
export function command<const T extends Options>(
  definition: Definition<T>,
): Definition<T> {
  return definition;
}

/** Options that every command has. */
export const COMMON = {
  help: { type: "boolean", help: "print this help" },
  debug: { type: "boolean", help: "print the stack trace of an error" },
} as const satisfies Options;

/** A parsed command line. */
export interface Parsed {
  /** Values by option name, including defaults. */
  readonly values: Record<string, string | number | boolean | undefined>;
  /** Arguments that are not options. */
  readonly operands: string[];
}

/**
 * Parses `args` with the option table of `c`.
 * @throws {UsageError}
 */
export function parse(c: Command, args: readonly string[]): Parsed {
  const table: Options = { ...c.options, ...COMMON };
  const fail = (problem: string, next?: string): never => {
    throw new UsageError(
      `Cannot ${c.name}: ${problem}; ${
        next ?? `see \`mquant ${c.name} --help\``
      }`,
    );
  };
  const { tokens } = parseArgs({
    args: [...args],
    strict: false, // unknown options are ours to name
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(table).map(([name, o]) => [
        name,
        { type: o.type === "boolean" ? "boolean" : "string" },
      ]),
    ),
  });
  const values: Parsed["values"] = Object.fromEntries(
    Object.entries(table).map((
      [name, o],
    ) => [name, o.type === "boolean" ? false : o.default]),
  );
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName } = token;
    if (!Object.hasOwn(table, name)) {
      const near = nearest(name, Object.keys(table));
      fail(
        `there is no option ${rawName}`,
        near && `did you mean --${near}?`,
      );
    }
    values[name] = convert(table[name], rawName, token, fail);
  }
  const [least, most] = c.arity;
  if (values.help) return { values, operands };
  if (operands.length < least) {
    fail(`it needs ${c.operands}: ${operands.length || "nothing"} was given`);
  }
  if (operands.length > most) {
    const extra = JSON.stringify(operands[most]);
    fail(
      most === 0
        ? `it takes only options: ${extra} was given`
        : `it takes ${c.operands}: ${extra} is one too many`,
    );
  }
  return { values, operands };
}

function convert(
  option: Option,
  rawName: string,
  { value, inlineValue }: {
    value?: string | undefined;
    inlineValue?: boolean | undefined;
  },
  fail: (problem: string, next?: string) => never,
): string | number | boolean {
  if (option.type === "boolean") {
    return value === undefined
      ? true
      : fail(`${rawName} takes no value, ${JSON.stringify(value)} was given`);
  }
  const missing = value === undefined ||
    (!inlineValue && value !== "-" && value.startsWith("-"));
  if (missing || value === "") {
    return fail(
      `${rawName} needs a value, ${expected(option)}`,
      `write ${rawName}=${option.value ?? "VALUE"}`,
    );
  }
  if (option.choices && !option.choices.includes(value)) {
    const near = nearest(value, option.choices);
    return fail(
      `${rawName} must be ${expected(option)}: current value is ${
        JSON.stringify(value)
      }`,
      near && `did you mean ${near}?`,
    );
  }
  if (option.type === "string") return value;
  const number = Number(value);
  const good = value.trim() !== "" && Number.isFinite(number) &&
    (option.type === "number" || Number.isSafeInteger(number)) &&
    number >= (option.min ?? -Infinity) && number <= (option.max ?? Infinity);
  return good ? number : fail(
    `${rawName} must be ${expected(option)}: current value is ${
      JSON.stringify(value)
    }`,
  );
}

/** The allowed values in words. */
export function expected(o: Option): string {
  if (o.choices) return o.choices.join(" or ");
  if (o.type === "string") return o.value ?? "text";
  const what = o.type === "integer" ? "a whole number" : "a number";
  if (o.min !== undefined && o.max !== undefined) {
    return `${what} from ${o.min} to ${o.max}`;
  }
  if (o.min !== undefined) return `${what} of at least ${o.min}`;
  return o.max !== undefined ? `${what} of at most ${o.max}` : what;
}
