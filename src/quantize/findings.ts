/**
 * What a walk finds, by name: static scales and other vectors, integer weights,
 * the image rows between its two phases. Everything goes through records, so a
 * walk that was cut short finds again what it had, and a large model's codes
 * need not stay in memory.
 * @module
 */
import type { Records } from "../format/records.ts";
import type { IntegerWeight } from "./gptq.ts";

/** A weight, and signal to noise of its outputs, dB, where it was measured. */
export type Rounded = IntegerWeight & { readonly sqnr?: number };

/** Findings of a walk; each is worked out once. */
export interface Findings {
  /** The static vector `name`, worked out by `make` where it is not known. */
  vector(name: string, make: () => ArrayLike<number>): Float32Array;
  /** The weight `name`; undefined where it is not known. */
  rounded(name: string): Rounded | undefined;
  /** The weight `name`, worked out by `make` where it is not known. */
  weight(name: string, make: () => Rounded): Rounded;
  /** Rows of floats, worked out by `make` where they are not known. */
  rows<F extends Float32Array | Float64Array>(name: string, make: () => F): F;
  /** All weights and vectors, in the order in which they were found. */
  all(): {
    weights: Map<string, IntegerWeight>;
    vectors: Map<string, Float32Array>;
  };
}

/** Findings kept in `records`. */
export function findings(records: Records): Findings {
  /** Codes are read anew each time they are asked for: hold them while looping. */
  const stored = (record: string): Rounded => {
    const { codes: _, ...rest } = records.read(record) as unknown as Rounded;
    return {
      ...rest,
      get codes() {
        return (records.read(record) as unknown as Rounded).codes;
      },
    };
  };
  const known = (name: string) =>
    records.has(`weight ${name}`) ? stored(`weight ${name}`) : undefined;
  return {
    vector(name, make) {
      const record = `vector ${name}`;
      if (!records.has(record)) {
        records.add(record, { values: Float32Array.from(make()) });
      }
      return records.read(record)!.values as Float32Array;
    },
    rounded: known,
    weight(name, make) {
      if (!records.has(`weight ${name}`)) {
        records.add(`weight ${name}`, { ...make() });
      }
      return known(name)!;
    },
    rows<F extends Float32Array | Float64Array>(name: string, make: () => F) {
      const record = `rows ${name}`;
      if (!records.has(record)) records.add(record, { values: make() });
      return records.read(record)!.values as F;
    },
    all() {
      const weights = new Map<string, IntegerWeight>();
      const vectors = new Map<string, Float32Array>();
      for (const record of records.names()) {
        const [kind, ...rest] = record.split(" "), name = rest.join(" ");
        if (kind === "weight") weights.set(name, stored(record));
        if (kind === "vector") {
          vectors.set(name, records.read(record)!.values as Float32Array);
        }
      }
      return { weights, vectors };
    },
  };
}
