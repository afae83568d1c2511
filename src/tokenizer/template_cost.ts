/**
 * Costs of template filters and methods, computed from their operands before
 * they run: in steps of about a microsecond. Results that would be too long are
 * refused.
 * @module
 */
import { TEMPLATE_LIMITS, tooMuch } from "./template_limits.ts";

/** A value of the interpreter. */
export interface Value {
  readonly type: string;
  readonly value?: unknown;
}

type Arguments = readonly Value[];
type Named = ReadonlyMap<string, Value>;

/**
 * Steps of the filter or method `name` of `object`.
 * @throws {Error} if the result would be too long
 */
export function costOf(
  name: string,
  object: Value,
  args: Arguments,
  named: Named = new Map(),
): number {
  const { value } = object;
  if (typeof value === "string") return ofText(name, value, args, named);
  const cost = ofContainer(name, value, args, named);
  return cost;
}

function ofText(
  name: string,
  text: string,
  args: Arguments,
  named: Named,
): number {
  const { length } = text;
  switch (name) {
    case "replace": {
      const from = textOf(args[0]), to = textOf(args[1]);
      const search = searchSteps(text, from);
      const times = from === "" ? length + 1 : countOf(from, text, search);
      grow(length + times * (to.length - from.length));
      return search + times;
    }
    case "split": {
      const separator = textOf(args[0]);
      if (separator === "") return 2 * length;
      const search = searchSteps(text, separator);
      return search + 4 * countOf(separator, text, search);
    }
    case "indent": {
      const width = numberOf(args[0] ?? named.get("width"), 4);
      const lines = 1 + countOf("\n", text, 0);
      grow(width + length + lines * width);
      return lines;
    }
    case "join": {
      grow(length * (1 + textOf(args[0] ?? named.get("separator")).length));
      return length;
    }
    case "tojson":
      return length >> 3;
    case "in":
      return searchSteps(text, textOf(args[0]));
    case "slice":
      return length >> 1;
    case "startswith":
    case "endswith":
      return listOf(args[0]).length;
    case "length":
    case "string":
    case "default":
      return 0;
    default: // title, upper, trim and their like
      return length >> 3;
  }
}

function ofContainer(
  name: string,
  value: unknown,
  args: Arguments,
  named: Named,
): number {
  const size = Array.isArray(value)
    ? value.length
    : value instanceof Map
    ? value.size
    : 0;
  switch (name) {
    case "tojson": {
      const indent = numberOf(named.get("indent"), 0);
      const between = listOf(named.get("separators"))
        .reduce((n, v) => n + textOf(v).length, 2);
      return walk(value, indent, between);
    }
    case "string":
      return walk(value, 0, 2);
    case "join": {
      const separator = textOf(args[0] ?? named.get("separator"));
      grow(size * separator.length);
      return walk(value, 0, separator.length);
    }
    case "sort":
    case "dictsort":
      return Math.ceil(Math.log2(size + 1)) * (size + walk(value, 0, 0));
    case "map":
    case "selectattr":
    case "rejectattr":
      return size *
        (1 + (textOf(args[0] ?? named.get("attribute")).length >> 3));
    case "unique":
    case "reverse":
    case "items":
    case "keys":
    case "values":
      return 4 * size;
    default:
      return 0;
  }
}

/**
 * Steps of serialising a value as indented JSON.
 * @throws {Error} if the result would be too long
 */
function walk(value: unknown, indent: number, between: number): number {
  let length = 0;
  const open: [unknown, number][] = [[value, 0]];
  while (open.length > 0) {
    const [next, depth] = open.pop()!;
    length += 1 + between + indent * depth;
    if (typeof next === "string") length += next.length;
    else if (Array.isArray(next)) {
      for (const v of next) open.push([v?.value, depth + 1]);
    } else if (next instanceof Map) {
      for (const [key, v] of next) {
        length += String(key).length;
        open.push([v?.value, depth + 1]);
      }
    }
    grow(length);
  }
  return length >> 3;
}

/**
 * Number of values nested in a list or an object, where a string counts one per
 * 8 characters; counting stops at `most`.
 */
export function leaves(value: unknown, most: number): number {
  let count = 0;
  for (const open = [value]; open.length > 0 && count <= most;) {
    const next = open.pop();
    if (Array.isArray(next) || next instanceof Map) {
      for (const { value } of next.values()) {
        if (++count > most) break;
        if (typeof value === "string") count += value.length >> 3;
        else if (typeof value === "object" && value !== null) open.push(value);
      }
    }
  }
  return count;
}

/** Steps of a naive substring search. */
function searchSteps(text: string, part: string): number {
  return text.length * (1 + part.length) / 64;
}

/**
 * Number of occurrences of `part` in `text`; not searched if the search itself
 * exceeds the limit.
 */
function countOf(part: string, text: string, search: number): number {
  if (search > TEMPLATE_LIMITS.steps) throw tooMuch("steps", "its run");
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; count++) {
    at = text.indexOf(part, at + part.length);
  }
  return count;
}

function grow(length: number) {
  if (!(length <= TEMPLATE_LIMITS.text)) throw tooMuch("text", "a text");
}

const textOf = (value: Value | undefined): string =>
  typeof value?.value === "string" ? value.value : "";

const numberOf = (value: Value | undefined, without: number): number =>
  typeof value?.value === "number" ? value.value : without;

const listOf = (value: Value | undefined): readonly Value[] =>
  Array.isArray(value?.value) ? value.value : [];
