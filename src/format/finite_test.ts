/** NaN and infinity are found in every type of floats, wherever they stand. */
import { assertEquals } from "@std/assert";
import { f32ToF16 } from "../tensor/float16.ts";
import type { DType } from "./dtype.ts";
import { firstNotFinite } from "./finite.ts";
import { openSafetensors } from "./safetensors.ts";
import { bytesSource } from "./source.ts";

/** Values as they are stored in a type. */
const STORED: Record<string, (values: number[]) => Uint8Array> = {
  F64: (v) => new Uint8Array(new Float64Array(v).buffer),
  F32: (v) => new Uint8Array(new Float32Array(v).buffer),
  F16: (v) => new Uint8Array(f32ToF16(v).buffer),
  BF16: (v) =>
    new Uint8Array(
      Uint16Array.from(new Uint32Array(new Float32Array(v).buffer), (w) =>
        w >>> 16).buffer,
    ),
};

function stored(dtype: string, data: Uint8Array, length: number) {
  const header = new TextEncoder().encode(JSON.stringify({
    t: { dtype, shape: [length], data_offsets: [0, data.length] },
  }));
  const bytes = new Uint8Array(8 + header.length + data.length);
  new DataView(bytes.buffer).setUint32(0, header.length, true);
  bytes.set(header, 8);
  bytes.set(data, 8 + header.length);
  return openSafetensors(bytesSource(bytes, "x")).tensor("t");
}

for (const [dtype, store] of Object.entries(STORED)) {
  Deno.test(`${dtype}: the first number that is not finite is found, large ones are none`, () => {
    const most = {
      F64: 1.7e308,
      F32: 3.4e38,
      F16: 65504,
      BF16: 3.3e38,
    }[dtype]!;
    const length = 525_000; // more than one part
    const find = (at: Record<number, number>) => {
      const values = Array<number>(length).fill(-most);
      for (const [i, value] of Object.entries(at)) values[Number(i)] = value;
      return firstNotFinite(stored(dtype, store(values), length));
    };
    assertEquals(find({ 0: 0, 1: 1e-40 }), undefined);
    for (const value of [NaN, Infinity, -Infinity]) {
      for (const index of [0, 1, 524_288, length - 1]) {
        assertEquals(find({ [index]: value }), { index, value });
      }
    }
    assertEquals(find({ 7: Infinity, 9: NaN }), { index: 7, value: Infinity });
  });
}

Deno.test("integers are finite, whatever their bits; so is a tensor without elements", () => {
  for (const dtype of ["I64", "I32", "I16", "I8", "U8", "BOOL"] as DType[]) {
    const data = new Uint8Array(16).fill(dtype === "BOOL" ? 1 : 255);
    const size = { I64: 8, I32: 4, I16: 2 }[dtype as string] ?? 1;
    assertEquals(firstNotFinite(stored(dtype, data, 16 / size)), undefined);
  }
  assertEquals(firstNotFinite(stored("F32", new Uint8Array(0), 0)), undefined);
});

Deno.test("F8_E4M3: NaN is found, the largest number is none", () => {
  const codes = new Uint8Array(5000).fill(0x7e);
  assertEquals(firstNotFinite(stored("F8_E4M3", codes, 5000)), undefined);
  codes[4321] = 0xff;
  assertEquals(firstNotFinite(stored("F8_E4M3", codes, 5000)), {
    index: 4321,
    value: NaN,
  });
});
