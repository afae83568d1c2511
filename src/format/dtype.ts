/**
 * Element types of safetensors that mquant reads and writes.
 * @module
 */
import { bf16ToF32, f16ToF32, f8ToF32 } from "../tensor/float16.ts";

/** Element type as safetensors spells it. */
export type DType =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "F8_E4M3"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U8"
  | "BOOL";

/** Numbers of a tensor in memory. */
export type Elements =
  | Float64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = {
  F64: 8,
  I64: 8,
  F32: 4,
  I32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  I8: 1,
  F8_E4M3: 1,
  U8: 1,
  BOOL: 1,
};

/** Whether `name` is a `DType`. */
export function isDType(name: string): name is DType {
  return Object.hasOwn(DTYPE_BYTES, name);
}

/**
 * Little-endian bytes as numbers: F16, BF16 and F8_E4M3 widen to float32
 * (exact), BOOL stays bytes. Other types share `buffer`.
 */
export function elementsOf(dtype: DType, buffer: ArrayBuffer): Elements {
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer);
    case "F32":
      return new Float32Array(buffer);
    case "F16":
      return f16ToF32(new Uint16Array(buffer)) as Float32Array<ArrayBuffer>;
    case "BF16":
      return bf16ToF32(new Uint16Array(buffer)) as Float32Array<ArrayBuffer>;
    case "F8_E4M3":
      return f8ToF32(new Uint8Array(buffer));
    case "I64":
      return new BigInt64Array(buffer);
    case "I32":
      return new Int32Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "I8":
      return new Int8Array(buffer);
    case "U8":
    case "BOOL":
      return new Uint8Array(buffer);
  }
}
