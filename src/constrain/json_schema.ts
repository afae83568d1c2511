/**
 * Compiles a JSON schema (draft 2020-12) to a grammar of compact JSON. Every text of
 * the grammar is valid for the schema. The grammar is stricter: properties have the
 * order of the schema, numbers have no exponent, only declared properties appear.
 * An unsupported keyword is an error, never ignored.
 * @module
 */
import { RuntimeError } from "../graph/error.ts";
import { budget, type Spend } from "../platform/budget.ts";
import { pointed } from "./json_pointer.ts";
import { type Item, type Rule, shortestTexts } from "./grammar.ts";
import { NO_LIMIT, type RuleBook, ruleBook } from "./text_rules.ts";

/**
 * A schema: an object of keywords, or true for any JSON.
 *
 * ```ts
 * import { type JsonSchema, open } from "@mquant/mquant";
 *
 * const schema: JsonSchema = { enum: ["cat", "dog", "neither"] };
 * await using model = await open(
 *   "models/photo-mini/photo-mini.w4a8.safetensors",
 * );
 * const { text } = await model.caption("models/photo-mini/photos/cat.jpg", { schema });
 * if (!["cat", "dog", "neither"].includes(JSON.parse(text))) throw new Error(text);
 * ```
 */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

type Keywords = { readonly [keyword: string]: unknown };

/** Annotations, which do not affect validity. */
const NOTES = [
  ...["title", "description", "default", "examples", "deprecated", "readOnly"],
  ...["writeOnly", "$schema", "$id", "$comment", "$defs", "definitions"],
  ...["format", "contentMediaType", "contentEncoding"],
];

const TYPES = [
  ...["object", "array", "string", "number", "integer", "boolean", "null"],
];

/** Supported keywords of each type. */
const SUPPORTED: Readonly<Record<string, readonly string[]>> = {
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "minItems", "maxItems"],
  string: ["minLength", "maxLength"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
};

/** Limits of a schema. */
export const SCHEMA_LIMITS = {
  /** Steps of compilation: bytes, rules and keywords of the grammar. An enum of 4,000 words takes 150,000. */
  steps: 400_000,
  /** Milliseconds of compilation, for machines on which a step takes far more than half a microsecond. */
  ms: 3000,
  /** Nesting of schemas. */
  depth: 64,
  /** Largest minLength, maxLength, minItems and maxItems. */
  repeat: 4096,
  /** Characters of a $ref. */
  ref: 1000,
} as const;

/**
 * The grammar of a schema; rule 0 is the whole text, with an optional leading space.
 * @throws {RuntimeError} "schema" where it is not supported, or exceeds `SCHEMA_LIMITS`
 */
export function rulesOf(schema: JsonSchema): readonly Rule[] {
  const spend = budget(SCHEMA_LIMITS, (bound) =>
    fail(
      "#",
      bound === "steps"
        ? `compiling it takes more than ${SCHEMA_LIMITS.steps} steps; shorten its lists and strings`
        : `compiling it takes more than ${SCHEMA_LIMITS.ms} ms; shorten it`,
    ));
  const book = ruleBook(spend);
  const compile = compiler(schema, book, spend);
  book.recursive(() => {
    const value = compile(schema, "#", 0);
    return [value, [...book.text(" "), ...value]];
  });
  if (shortestTexts(book.rules, spend)[0] === Infinity) {
    fail("#", "no finite JSON value is valid for it");
  }
  return book.rules;
}

function fail(where: string, problem: string): never {
  throw new RuntimeError(
    "schema",
    `Cannot answer: the JSON schema at ${clipped(where)}: ${problem}`,
  );
}

/** A text of the schema, shortened for a message. */
function clipped(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 197)}...` : text);
}

type Compile = (schema: unknown, where: string, depth: number) => Item[];

// long because one function per keyword, which call each other
function compiler(root: unknown, book: RuleBook, spend: Spend): Compile {
  const named = new Map<string, number>();
  const text = (value: unknown) => {
    payFor(value, spend);
    return book.text(JSON.stringify(value));
  };
  const either = (alternatives: Rule): Item[] =>
    alternatives.length === 1
      ? [...alternatives[0]]
      : [book.rule(alternatives)];
  let blankRule: number | undefined, anyRule: number | undefined;
  /** An optional space after a colon or comma. */
  const blank = () => blankRule ??= book.rule([[], book.text(" ")]);

  const compile: Compile = (schema, where, depth) =>
    book.short(compileOne(schema, where, depth));

  const compileOne: Compile = (schema, where, depth) => {
    spend(1);
    if (depth > SCHEMA_LIMITS.depth) {
      fail(where, `it is nested deeper than ${SCHEMA_LIMITS.depth}`);
    }
    if (schema === true) return [any()];
    if (
      typeof schema !== "object" || schema === null || Array.isArray(schema)
    ) {
      fail(where, "it must be an object or true");
    }
    const keys = schema as Keywords, deeper = depth + 1;
    spend(Object.keys(keys).length);
    if (keys.$ref !== undefined) {
      only(keys, ["$ref"], where);
      return [reference(keys.$ref, where, deeper)];
    }
    if (keys.const !== undefined || "const" in keys) {
      only(keys, ["const", "type"], where);
      return text(typed([keys.const], keys.type, where)[0]);
    }
    if (keys.enum !== undefined) {
      only(keys, ["enum", "type"], where);
      if (!Array.isArray(keys.enum)) fail(where, "enum must be a list");
      spend(keys.enum.length);
      return either(typed(keys.enum, keys.type, where).map(text));
    }
    for (const word of ["anyOf", "allOf"] as const) {
      if (keys[word] === undefined) continue;
      only(keys, [word], where);
      const list = keys[word];
      const good = Array.isArray(list) && list.length > 0 &&
        (word === "anyOf" || list.length === 1);
      if (!good) {
        const wish = word === "anyOf" ? "some schemas" : "one schema";
        fail(`${where}/${word}`, `it must be a list of ${wish}`);
      }
      return either(
        list.map((s, i) => compile(s, `${where}/${word}/${i}`, deeper)),
      );
    }
    const types = typesOf(keys, where);
    only(keys, ["type", ...types.flatMap((t) => SUPPORTED[t] ?? [])], where);
    if (keys.type === undefined && !hasSupported(keys)) return [any()];
    return either(types.map((t) => ofType(t, keys, where, deeper)));
  };

  function reference(ref: unknown, where: string, depth: number): number {
    if (
      typeof ref !== "string" || !/^#(\/|$)/.test(ref) ||
      ref.length > SCHEMA_LIMITS.ref
    ) {
      fail(where, `$ref must point into the schema, such as "#/$defs/name"`);
    }
    let rule = named.get(ref);
    if (rule === undefined) {
      const schema = pointed(root, ref) ??
        fail(where, `$ref ${clipped(ref)} does not exist in the schema`);
      rule = book.recursive((self) => {
        named.set(ref, self);
        return [compile(schema, ref, depth)];
      });
    }
    return rule;
  }

  function ofType(type: string, keys: Keywords, where: string, depth: number) {
    switch (type) {
      case "null":
        return book.text("null");
      case "boolean":
        return either([book.text("true"), book.text("false")]);
      case "number":
        return book.number();
      case "integer":
        return integer(keys, where);
      case "string":
        return book.string(...span(keys, "minLength", "maxLength", where));
      case "array":
        return array(keys, where, depth);
      default:
        return object(keys, where, depth);
    }
  }

  function integer(keys: Keywords, where: string): Item[] {
    const bound = (name: string, without: number) => {
      const value = keys[name] ?? without;
      return typeof value === "number"
        ? value
        : fail(`${where}/${name}`, "it must be a number");
    };
    const least = Math.max(
      Math.ceil(bound("minimum", -Infinity)),
      Math.floor(bound("exclusiveMinimum", -Infinity)) + 1,
    );
    const most = Math.min(
      Math.floor(bound("maximum", Infinity)),
      Math.ceil(bound("exclusiveMaximum", Infinity)) - 1,
    );
    if (least > most) fail(where, "no integer is within its bounds");
    return book.integer(least, most);
  }

  function array(keys: Keywords, where: string, depth: number): Item[] {
    const [least, most] = span(keys, "minItems", "maxItems", where);
    const item = compile(keys.items ?? true, `${where}/items`, depth);
    const more = book.rule([[...book.text(","), blank(), ...item]]);
    const filled = [
      ...item,
      ...(most > 0 ? book.repeat(more, Math.max(0, least - 1), most - 1) : []),
    ];
    const inner: Rule = [
      ...(least === 0 ? [[]] : []),
      ...(most > 0 ? [filled] : []),
    ];
    return [...book.text("["), book.rule(inner), ...book.text("]")];
  }

  function object(keys: Keywords, where: string, depth: number): Item[] {
    const properties = keywords(keys.properties, `${where}/properties`);
    const required = keys.required ?? [];
    if (
      !Array.isArray(required) || required.some((r) => typeof r !== "string")
    ) fail(where, "required must be a list of names");
    const others = keys.additionalProperties ?? true;
    spend(required.length);
    const must = new Set(required);
    const value = (name: string) =>
      Object.hasOwn(properties, name)
        ? compile(properties[name], `${where}/properties/${name}`, depth)
        : compile(others, `${where}/additionalProperties`, depth);
    const names = new Set([...Object.keys(properties), ...must]);
    if (names.size === 0) return others === false ? text({}) : map(value(""));
    const pair = (name: string) => [
      ...book.short(text(name)),
      ...book.text(":"),
      blank(),
      ...value(name),
    ];
    const comma = [...book.text(","), blank()];
    // From the last property: what may follow at the start, and after a pair.
    let first: Item[] = [], later: Item[] = [];
    for (const name of [...names].reverse()) {
      const both = book.rule([pair(name)]);
      const skip = !must.has(name);
      const [here, there] = [first, later];
      const next = (items: Item[], none: Item[]) =>
        book.short(either([items, ...(skip ? [none] : [])]));
      first = next([both, ...there], here);
      later = next([...comma, both, ...there], there);
    }
    return [...book.text("{"), ...first, ...book.text("}")];
  }

  /** An object with any names. */
  function map(value: Item[]): Item[] {
    const pair = book.rule([[
      ...book.string(0, NO_LIMIT),
      ...book.text(":"),
      blank(),
      ...value,
    ]]);
    const more = book.rule([[...book.text(","), blank(), pair]]);
    const inner = book.rule([[], [pair, ...book.repeat(more, 0, NO_LIMIT)]]);
    return [...book.text("{"), inner, ...book.text("}")];
  }

  function any(): number {
    return anyRule ??= book.recursive((self) => {
      anyRule = self;
      return TYPES.filter((t) => t !== "integer" && t !== "object")
        .map((t) => ofType(t, { items: true }, "#", 0))
        .concat([map([self])]);
    });
  }

  return compile;
}

function hasSupported(keys: Keywords): boolean {
  return Object.values(SUPPORTED).flat().some((key) =>
    Object.hasOwn(keys, key)
  );
}

/**
 * The types that a schema allows; without `type`, the types that its keywords
 * apply to.
 */
function typesOf(keys: Keywords, where: string): readonly string[] {
  if (keys.type === undefined) {
    return TYPES.filter((t) =>
      SUPPORTED[t]?.some((key) => Object.hasOwn(keys, key))
    );
  }
  const types = [keys.type].flat();
  if (new Set(types).size < types.length) {
    fail(`${where}/type`, "it names a type twice");
  }
  for (const type of types) {
    if (TYPES.includes(type as string)) continue;
    fail(`${where}/type`, `it must be of ${TYPES.join(", ")}`);
  }
  return types.length > 0
    ? types as string[]
    : fail(`${where}/type`, "it is empty");
}

function only(keys: Keywords, known: readonly string[], where: string) {
  for (const key of Object.keys(keys)) {
    if (known.includes(key) || NOTES.includes(key)) continue;
    fail(
      where,
      `${clipped(key)} is not supported here; remove it${
        key === "oneOf" ? ", or use anyOf" : ""
      }`,
    );
  }
}

/** The values of an enum or const that match the schema's `type`. */
function typed(values: readonly unknown[], type: unknown, where: string) {
  const types = type === undefined
    ? TYPES
    : typesOf({ type } as Keywords, where);
  const good = values.filter((value) => {
    if (value === null) return types.includes("null");
    if (Array.isArray(value)) return types.includes("array");
    if (Number.isInteger(value) && types.includes("integer")) return true;
    return types.includes(typeof value);
  });
  return good.length > 0 ? good : fail(where, "none of its values is valid");
}

function keywords(value: unknown, where: string): Keywords {
  if (value === undefined) return {};
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Keywords
    : fail(where, "it must be an object");
}

/** The values of a pair of minimum and maximum keywords. */
function span(
  keys: Keywords,
  min: string,
  max: string,
  where: string,
): [number, number] {
  const count = (name: string, without: number) => {
    const value = keys[name];
    if (value === undefined) return without;
    const good = Number.isInteger(value) && (value as number) >= 0 &&
      (value as number) <= SCHEMA_LIMITS.repeat;
    return good ? value as number : fail(
      `${where}/${name}`,
      `it must be from 0 to ${SCHEMA_LIMITS.repeat}`,
    );
  };
  const [least, most] = [count(min, 0), count(max, NO_LIMIT)];
  if (least > most) fail(where, `${min} is above ${max}`);
  return [least, most];
}

/** Charges a value to the budget before it is written as JSON. */
function payFor(value: unknown, spend: Spend, depth = 0) {
  spend(typeof value === "string" ? 1 + value.length : 1);
  if (typeof value !== "object" || value === null) return;
  if (depth > SCHEMA_LIMITS.depth) {
    fail("#", `a value is nested deeper than ${SCHEMA_LIMITS.depth}`);
  }
  for (const [key, inner] of Object.entries(value)) {
    spend(key.length);
    payFor(inner, spend, depth + 1);
  }
}
