/**
 * Damages valid input byte by byte, and along its structure, so that the damage passes
 * the first checks. Deterministic for a seed.
 * @module
 */
import { random, seedOf, uniform } from "../../src/tensor/random.ts";

/** Bytes of their own. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** A whole number from 0 to n − 1. */
export type Draw = (n: number) => number;

/** The stream that belongs to input `index` of `name` under `seed`. */
export function drawOf(seed: number, name: string, index: number): Draw {
  const next = random(seedOf(seed, `${name} ${index}`));
  return (n) => Math.floor(uniform(next) * n);
}

/** One of `list`. */
export function pick<T>(draw: Draw, list: readonly T[]): T {
  return list[draw(list.length)];
}

/** Numbers at which readers break: limits of types and their neighbours. */
const EDGES: readonly bigint[] = [
  ...[0n, 1n, 2n, 7n, 8n, 127n, 128n, 255n, 256n, 0x7fffn, 0xffffn],
  ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n],
  ...[2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n],
];

/** Values to put where JSON has one. */
const VALUES: readonly string[] = [
  ...EDGES.map(String),
  ...["-1", "-0", "0.5", "1e308", "-1e-308", "1.0", "1e2", "null", "true"],
  ...["false", '""', "[]", "{}", "[[]]", "[0,0]", "[1,0]", '"\\ud800"'],
  ...[
    '"\\u0000"',
    '"__proto__"',
    '"constructor"',
    '"../../x"',
    '"/etc/passwd"',
  ],
  ...[`"${"x".repeat(300)}"`, '"{{ x }}"', '"<image>"', "1e999", '{"a":1}'],
];

/** What is no JSON. */
const NO_VALUES: readonly string[] = [
  ...["NaN", "01", "[".repeat(40), '{"a":'.repeat(40), "[1,2", "'x'", '"', "-"],
  ...["/**/1", "+1", ".5", "\u{feff}1", "tru", '"\\x"', '"\n"'],
];

/** One to four random damages to bytes. */
export function mutateBytes(draw: Draw, seed: Uint8Array): Bytes {
  let bytes: Bytes = seed.slice();
  for (let n = 1 + draw(4); n > 0; n--) bytes = damage(draw, bytes);
  return bytes;
}

function damage(draw: Draw, bytes: Bytes): Bytes {
  const { length } = bytes, at = draw(length + 1);
  const some = Math.min(length - at, 1 + draw(draw(4) === 0 ? 256 : 8));
  switch (draw(8)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return joined(bytes.subarray(0, at), bytes.subarray(at + some));
    case 2: { // a piece once more
      const piece = bytes.subarray(at, at + some);
      return joined(bytes.subarray(0, at), piece, bytes.subarray(at));
    }
    case 3: {
      const noise = Uint8Array.from({ length: 1 + draw(8) }, () => draw(256));
      return joined(bytes.subarray(0, at), noise, bytes.subarray(at));
    }
    case 4: { // a number of 2, 4 or 8 bytes
      const size = pick(draw, [2, 4, 8]);
      if (at + size > length) return bytes;
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, size);
      const value = pick(draw, EDGES), little = draw(2) === 0;
      if (size === 8) view.setBigUint64(0, value, little);
      else if (size === 4) {
        view.setUint32(0, Number(value & 0xffffffffn), little);
      } else view.setUint16(0, Number(value & 0xffffn), little);
      return bytes;
    }
    case 5:
      if (at < length) bytes[at] = draw(256);
      return bytes;
    default:
      if (at < length) bytes[at] ^= 1 << draw(8);
      return bytes;
  }
}

/** `parts` in a row. */
export function joined(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) all.set(part, at), at += part.length;
  return all;
}

/** One to three damages to JSON text along its values; one time in eight to its syntax. */
export function mutateJson(draw: Draw, text: string): string {
  for (let n = 1 + draw(3); n > 0; n--) text = damageJson(draw, text);
  if (draw(8) !== 0) return text;
  const at = draw(text.length + 1), mark = pick(draw, [...'{}[]",:\\ \0']);
  return text.slice(0, at) + mark + text.slice(at + draw(2));
}

function damageJson(draw: Draw, text: string): string {
  const values = valuesOf(text);
  if (values.length === 0) return text + pick(draw, VALUES);
  const { member, begin, end } = pick(draw, values);
  const other = pick(draw, values);
  const before = text.slice(0, begin), behind = text.slice(end);
  switch (draw(8)) {
    case 0: // a value of elsewhere in the text
      return before + text.slice(other.begin, other.end) + behind;
    case 1: // gone
      return behind.startsWith(",")
        ? text.slice(0, member) + behind.slice(1)
        : text.slice(0, member).replace(/,$/, "") + behind;
    case 2: // twice, with its key
      return `${text.slice(0, end)},${text.slice(member)}`;
    case 3: // a member of elsewhere beside it
      return `${text.slice(0, end)},${
        text.slice(other.member, other.end)
      }${behind}`;
    case 4: // another key
      if (member === begin) return text;
      return `${text.slice(0, member)}${pick(draw, KEYS)}:${text.slice(begin)}`;
    case 5: // a number beside the one it was
      return /^-?\d+$/.test(text.slice(begin, end))
        ? `${before}${Number(text.slice(begin, end)) + draw(3) - 1}${behind}`
        : before + pick(draw, VALUES) + behind;
    default:
      return before + pick(draw, draw(12) ? VALUES : NO_VALUES) + behind;
  }
}

const KEYS = ['"__proto__"', '"a"', '"type"', '""', '"toString"', '"shape"'];

/** A value in JSON text: where it stands, and where its key does. */
interface Span {
  /** Begin of the key in front of it; of itself where it has none. */
  readonly member: number;
  readonly begin: number;
  readonly end: number;
}

const TOKEN = /"(?:[^"\\]|\\.)*"(:?)|[^\s",:{}[\]]+|[[\]{}]/gs;

/** The values of JSON text, roughly: it need not be valid. */
function valuesOf(text: string): Span[] {
  const spans: Span[] = [], open: Omit<Span, "end">[] = [];
  let key = -1;
  for (const { 0: mark, 1: colon, index: begin } of text.matchAll(TOKEN)) {
    if (colon) {
      key = begin;
      continue;
    }
    const end = begin + mark.length, member = key < 0 ? begin : key;
    key = -1;
    if (mark === "[" || mark === "{") open.push({ member, begin });
    else if (mark === "]" || mark === "}") {
      const from = open.pop();
      if (from) spans.push({ ...from, end });
    } else spans.push({ member, begin, end });
  }
  return spans;
}
