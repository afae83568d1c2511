import { assert, assertEquals } from "@std/assert";
import { bf16ToF32, f16ToF32, f32ToF16, f8ToF32 } from "./float16.ts";

Deno.test("f16ToF32: landmarks of binary16", () => {
  const cases: [number, number][] = [
    [0x0000, 0],
    [0x8000, -0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x3555, 0.333251953125],
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
    [0x7e00, NaN],
  ];
  const got = f16ToF32(Uint16Array.from(cases, ([h]) => h));
  cases.forEach(([, want], i) => assert(Object.is(got[i], want)));
});

Deno.test("f32ToF16 undoes f16ToF32 for every pattern that is not NaN", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, h) => h);
  const back = f32ToF16(f16ToF32(all));
  for (let h = 0; h < 65536; h++) {
    const nan = (h & 0x7c00) === 0x7c00 && (h & 0x3ff) !== 0;
    assertEquals(back[h], nan ? 0x7e00 : h);
  }
});

Deno.test("f32ToF16: ties go to even, between neighbours and into infinity", () => {
  assertEquals([...f32ToF16([1 + 2 ** -11, 1 + 3 * 2 ** -11])], [
    0x3c00,
    0x3c02,
  ]);
  assertEquals([...f32ToF16([1 + 2 ** -11 + 2 ** -20])], [0x3c01]);
  assertEquals([...f32ToF16([65519, 65520, -1e30])], [0x7bff, 0x7c00, 0xfc00]);
  assertEquals([...f32ToF16([2 ** -25, 3 * 2 ** -25, 2 ** -25 * 1.5])], [
    0,
    2,
    1,
  ]);
  assertEquals([...f32ToF16([2 ** -14 - 2 ** -26])], [0x0400]);
});

Deno.test("bf16ToF32 is the upper half of a float32", () => {
  const got = bf16ToF32(Uint16Array.of(0x3f80, 0xc049, 0x7f80, 0x0001));
  assertEquals([...got], [1, -3.140625, Infinity, 2 ** -133]);
});

Deno.test("f8ToF32: landmarks of E4M3, and its order", () => {
  const cases: [number, number][] = [
    [0x00, 0],
    [0x80, -0],
    [0x01, 2 ** -9],
    [0x07, 7 * 2 ** -9],
    [0x08, 2 ** -6],
    [0x38, 1],
    [0xb9, -1.125],
    [0x7e, 448],
    [0x7f, NaN],
    [0xff, NaN],
  ];
  const got = f8ToF32(Uint8Array.from(cases, ([h]) => h));
  cases.forEach(([, want], i) => assert(Object.is(got[i], want)));
  const rising = f8ToF32(Uint8Array.from({ length: 0x7f }, (_, h) => h));
  for (let h = 1; h < 0x7f; h++) assert(rising[h] > rising[h - 1]);
});
