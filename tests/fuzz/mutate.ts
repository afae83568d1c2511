/**
 * Damaging valid input: byte by byte, and along its structure, so that what is
 * damaged gets past the first check. All from one stream of numbers.
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
  ...["-1", "-0", "0.5", "1e308", "1e999", "-1e-308", "1.0", "01", "NaN"],
  ...["null", "true", "false", '""', "[]", "{}", '"\\ud800"', '"\\u0000"'],
  ...['"__proto__"', '"constructor"', '"../../x"', '"/etc/passwd"', "[[]]"],
  ...['"' + "x".repeat(300) + '"', "[".repeat(40), '{"a":'.repeat(40), "[1,2"],
  ...['"{{ x }}"', '"<image>"', '"\u{F0000}0\u{F0001}"', "[0,0]", "[1,0]"],
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

/** One to three damages to JSON text along its values, or to its bytes. */
export function mutateJson(draw: Draw, text: string): string {
  for (let n = 1 + draw(3); n > 0; n--) {
    const values = valuesOf(text);
    if (values.length === 0 || draw(8) === 0) {
      const at = draw(text.length + 1), mark = pick(draw, [...'{}[]",:\\ \0']);
      text = text.slice(0, at) + mark + text.slice(at + draw(2));
      continue;
    }
    const [begin, end] = pick(draw, values);
    const [from, to] = pick(draw, values);
    switch (draw(6)) {
      case 0: // a value of elsewhere in the text
        text = text.slice(0, begin) + text.slice(from, to) + text.slice(end);
        break;
      case 1: // gone, with the comma behind it
        text = text.slice(0, begin) +
          text.slice(text[end] === "," ? end + 1 : end);
        break;
      case 2: // twice
        text = `${text.slice(0, end)},${text.slice(begin)}`;
        break;
      case 3: // a key twice
        text = `${text.slice(0, begin)}${text.slice(begin, end)},${
          keyBefore(text, begin)
        }${text.slice(begin)}`;
        break;
      default:
        text = text.slice(0, begin) + pick(draw, VALUES) + text.slice(end);
    }
  }
  return text;
}

/** Where values (and keys) stand in JSON text, roughly: it need not be valid. */
function valuesOf(text: string): [number, number][] {
  const token = /"(?:[^"\\]|\\.)*"|-?[\w.+-]+|[[\]{}]/gy;
  const spans: [number, number][] = [], open: number[] = [];
  for (let at = 0; at < text.length;) {
    token.lastIndex = at;
    const found = token.exec(text);
    if (!found) {
      at++;
      continue;
    }
    at = token.lastIndex;
    const [mark] = found;
    if (mark === "[" || mark === "{") open.push(found.index);
    else if (mark === "]" || mark === "}") {
      const begin = open.pop();
      if (begin !== undefined) spans.push([begin, at]);
    } else spans.push([found.index, at]);
  }
  return spans;
}

/** The key in front of the value at `begin`, with its colon. */
function keyBefore(text: string, begin: number): string {
  return /"(?:[^"\\]|\\.)*":\s*$/.exec(
    text.slice(Math.max(0, begin - 80), begin),
  )
    ?.[0] ?? '"a":';
}
