/**
 * GGUF files for tests, value by value (github.com/ggml-org/ggml, docs/gguf.md).
 * @module
 */

/** Value types of GGUF. */
export const U32 = 4, FLOAT32 = 6, TEXT = 8, ARRAY = 9;

/** Block formats of ggml. */
export const F32 = 0, Q8_0 = 8;

/** Bytes of a file, appended value by value, little-endian. */
export function writer() {
  const parts: Uint8Array[] = [];
  let length = 0;
  const bytes = (b: Uint8Array) => {
    parts.push(b);
    length += b.length;
    return w;
  };
  const view = (size: number, set: (v: DataView) => void) => {
    const b = new Uint8Array(size);
    set(new DataView(b.buffer));
    return bytes(b);
  };
  const w = {
    bytes,
    u32: (n: number) => view(4, (v) => v.setUint32(0, n, true)),
    u64: (n: number | bigint) =>
      view(8, (v) => v.setBigUint64(0, BigInt(n), true)),
    f32: (n: number) => view(4, (v) => v.setFloat32(0, n, true)),
    text(text: string) {
      const b = new TextEncoder().encode(text);
      return w.u64(b.length).bytes(b);
    },
    pad: () => bytes(new Uint8Array(-length & 31)),
    end() {
      const out = new Uint8Array(length);
      let at = 0;
      for (const b of parts) out.set(b, at), at += b.length;
      return out;
    },
  };
  return w;
}

/** The head of a file, before its keys. */
export const head = (
  tensors: number | bigint,
  keys: number | bigint,
  version = 3,
) =>
  writer().bytes(new TextEncoder().encode("GGUF")).u32(version).u64(tensors)
    .u64(keys);

/** A value of a key: a whole number, a float32, a text, or a list of texts or of whole numbers. */
export type Value =
  | number
  | { readonly float: number }
  | string
  | readonly (string | number)[];

/** A float32 tensor. */
export interface FloatTensor {
  readonly name: string;
  /** Outermost first. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** A whole file of float32 tensors. */
export function ggufFile(
  keys: Readonly<Record<string, Value>>,
  tensors: readonly FloatTensor[],
): Uint8Array {
  const w = head(tensors.length, Object.keys(keys).length);
  for (const [name, value] of Object.entries(keys)) {
    w.text(name);
    if (typeof value === "number") w.u32(U32).u32(value);
    else if (typeof value === "string") w.u32(TEXT).text(value);
    else if ("float" in value) w.u32(FLOAT32).f32(value.float);
    else {
      const texts = typeof value[0] === "string";
      w.u32(ARRAY).u32(texts ? TEXT : U32).u64(value.length);
      for (const v of value) typeof v === "string" ? w.text(v) : w.u32(v);
    }
  }
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    w.text(name).u32(shape.length);
    for (const n of shape.toReversed()) w.u64(n);
    w.u32(F32).u64(offset);
    offset += Math.ceil(values.length / 8) * 32;
  }
  w.pad();
  for (const { values } of tensors) {
    w.bytes(new Uint8Array(values.slice().buffer)).pad();
  }
  return w.end();
}
