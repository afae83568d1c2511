/**
 * Fields of a preprocessor_config.json, read strictly.
 * @module
 */
import { ImageError } from "./image.ts";
import type { Size } from "./plan.ts";

/** Settings of a processor, as preprocessor_config.json names them. */
export type Settings = Readonly<Record<string, unknown>>;

/** Most tiles of one picture. */
export const MOST_TILES = 256;
const LARGEST = 4096; // MAX_IMAGE_SIZE of transformers

/** Throws `ImageError` "settings". */
export function refuse(problem: string): never {
  throw new ImageError(
    "settings",
    `Cannot use preprocessor_config.json: ${problem.slice(0, 400)}`,
  );
}

/** A length in pixels, from 1 to 4096. */
export function readSide(name: string, value: unknown): number {
  return readCount(name, value, LARGEST);
}

/** A whole number from 1 to `most`. */
export function readCount(name: string, value: unknown, most: number): number {
  if (
    Number.isSafeInteger(value) && value as number >= 1 &&
    value as number <= most
  ) {
    return value as number;
  }
  return refuse(
    `${name} must be a whole number from 1 to ${most}: it is ${
      JSON.stringify(value)
    }`,
  );
}

/** Reads three numbers, one per channel. */
export function readTriple(
  name: string,
  value: unknown,
): [number, number, number] {
  if (
    Array.isArray(value) && value.length === 3 && value.every(Number.isFinite)
  ) return value as [number, number, number];
  return refuse(
    `${name} must be three numbers: it is ${JSON.stringify(value)}`,
  );
}

/** `{height, width}`, or one number for a square, as older files give it. */
export function readSize(value: unknown): Size {
  const { height, width } = typeof value === "number"
    ? { height: value, width: value }
    : (value ?? {}) as Record<string, unknown>;
  const name = (edge: string) =>
    typeof value === "number" ? "size" : `size.${edge}`;
  return {
    height: readSide(name("height"), height),
    width: readSide(name("width"), width),
  };
}

/** `size` with `longest_edge`, or as `readSize` reads it. */
export function readEdgeOrSize(
  value: unknown,
): Size | { readonly longestEdge: number } {
  const edge = (value as Record<string, unknown> | undefined)?.longest_edge;
  return edge === undefined
    ? readSize(value)
    : { longestEdge: readSide("size.longest_edge", edge) };
}
