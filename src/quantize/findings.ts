/**
 * Results of quantization, by name: static scales and other vectors, quantized
 * weights, the image rows between the two phases. Everything goes through records,
 * so an interrupted run finds its results again, and the weights of a large model
 * need not stay in memory.
 * @module
 */
import type { Records } from "../format/records.ts";
import type { IntegerWeight } from "./gptq.ts";

/** A weight, and the SQNR of its outputs in dB where it was measured. */
export type Rounded = IntegerWeight & { readonly sqnr?: number };

/** Results; each is computed once. */
export interface Findings {
  /** The static vector `name`, computed by `make` where it is not known. */
  vector(name: string, make: () => ArrayLike<number>): Float32Array;
  /** The weight `name`; undefined where it is not known. */
  rounded(name: string): Rounded | undefined;
  /** The weight `name`, computed by `make` where it is not known. */
  weight(name: string, make: () => Rounded): Rounded;
  /** Rows of floats, computed by `make` where they are not known. */
  rows<F extends Float32Array | Float64Array>(name: string, make: () => F): F;
  /** All weights and vectors, in the order in which they were found. */
  all(): {
    weights: Map<string, IntegerWeight>;
    vectors: Map<string, Float32Array>;
  };
}

/** Results stored in `records`. */
export function findings(records: Records): Findings {
  /** `values` is read from the records at each access: keep it while looping. */
  const stored = (record: string): Rounded => {
    const { values: _, ...rest } = records.read(record) as unknown as Rounded;
    return {
      ...rest,
      get values() {
        return (records.read(record) as unknown as Rounded).values;
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
