import { assert, assertEquals, assertThrows } from "@std/assert";
import { hadamardMatrix } from "../tensor/hadamard.ts";
import {
  activationBytes,
  activationOffset,
  attentionItems,
  cacheBytes,
  groupedBytes,
  groupedPanelBytes,
  keyOffset,
  packFloats,
  packGroups,
  packHadamard,
  packWeights,
  paddedK,
  rowScratchBytes,
  scaleBytes,
  valueAt,
  valueOffset,
  type WeightBits,
  weightBytes,
  weightOffset,
} from "./layout.ts";

/** Whether offsets hit each of `size` bytes at most once. */
function injective(offsets: number[], size: number): boolean {
  const seen = new Set(offsets);
  return seen.size === offsets.length &&
    offsets.every((o) => o >= 0 && o < size);
}

const grid = (n: number, k: number, f: (i: number, j: number) => number) =>
  Array.from({ length: n * k }, (_, x) => f(Math.floor(x / k), x % k));

Deno.test("every layout gives each element a place of its own", () => {
  for (const rowBlock of [1, 4] as const) {
    const rows = rowBlock === 1 ? 1 : 7, kp = paddedK(36);
    const places = grid(
      rows,
      kp,
      (r, k) => activationOffset(r, k, kp, rowBlock),
    );
    assert(injective(places, activationBytes(rows, 36, rowBlock)));
  }
  for (const bits of [8] as WeightBits[]) {
    const places = grid(24, 64, (n, k) => weightOffset(bits, n, k, 64));
    assert(injective(places, weightBytes(bits, 24, 64)));
  }
  assert(
    injective(
      grid(16, 24, (key, d) => keyOffset(key, d, 24)),
      cacheBytes(1, 16, 24),
    ),
  );
  assert(
    injective(
      grid(16, 24, (key, d) => valueOffset(key, d, 16)),
      cacheBytes(1, 16, 24),
    ),
  );
});

Deno.test("packed values can be read back; padding is weight 0", () => {
  const n = 9, k = 36, kp = paddedK(k);
  for (const bits of [4, 8] as WeightBits[]) {
    const values = bits === 4
      ? Uint8Array.from({ length: n * k / 2 }, (_, i) => i * 37)
      : Int8Array.from(
        { length: n * k },
        (_, i) => i * 37 << (32 - bits) >> (32 - bits),
      );
    const packed = packWeights(bits, values, n, k),
      zero = bits === 8 ? 0 : 1 << (bits - 1);
    for (let i = 0; i < 16; i++) {
      for (let j = 0; j < kp; j++) {
        const byte = packed[weightOffset(bits, i, j, kp)];
        const raw = bits === 4 ? (i & 4 ? byte >> 4 : byte & 15) : byte;
        const want = i < n && j < k ? valueAt(bits, values, i * k + j) : 0;
        assertEquals(bits === 8 ? raw << 24 >> 24 : raw - zero, want);
      }
    }
  }
});

Deno.test("packed groups can be read back; missing rows have scale 0", () => {
  const n = 9, k = 96, group = 32, groups = k / group;
  const values = Uint8Array.from({ length: n * k / 2 }, (_, i) => i * 37);
  const scales = Uint8Array.from({ length: n * groups }, (_, i) => 1 + i % 15);
  const packed = packGroups(values, scales, n, k, group);
  assertEquals(packed.length, groupedBytes(n, k, group));
  const plain = packWeights(4, values, n, k);
  for (let i = 0; i < 16; i++) {
    const panel = (i >> 3) * groupedPanelBytes(k, group);
    for (let j = 0; j < k; j++) {
      const at = scaleBytes(k, group) + weightOffset(4, i & 7, j, k);
      assertEquals(packed[panel + at], plain[weightOffset(4, i, j, k)]);
    }
    for (let g = 0; g < groups; g++) {
      const want = i < n ? scales[i * groups + g] : 0;
      assertEquals(packed[panel + g * 8 + (i & 7)], want);
    }
  }
});

Deno.test("packFloats and packHadamard keep every element", () => {
  const w = Float32Array.from({ length: 9 * 5 }, (_, i) => i),
    p = packFloats(w, 9, 5);
  for (let n = 0; n < 9; n++) {
    for (let k = 0; k < 5; k++) {
      assertEquals(p[(n >> 3) * 40 + k * 8 + (n & 7)], w[n * 5 + k]);
    }
  }
  const m = hadamardMatrix(12), masks = packHadamard(m, 12);
  assertEquals(
    masks.filter((x) => x !== 0).length,
    m.filter((x) => x < 0).length,
  );
  assertEquals(masks[(1 * 12 + 3) * 4 + 2] !== 0, m[6 * 12 + 3] < 0);
});

Deno.test("sizes without a kernel are refused in words", () => {
  const refuse = (f: () => unknown, message: string) =>
    assertThrows(f, RangeError, message);
  refuse(
    () => packWeights(4, new Uint8Array(21), 1, 42),
    "Cannot pack w4 rows: k must be a multiple of 4: current value is 42",
  );
  refuse(
    () => weightBytes(3 as WeightBits, 8, 32),
    "bits must be 4 or 8: current value is 3",
  );
  refuse(
    () => groupedBytes(8, 96, 48),
    "Cannot pack groups: group must be a multiple of 32: current value is 48",
  );
  refuse(
    () => groupedBytes(8, 96, 64),
    "Cannot pack groups: k must be a multiple of 64: current value is 96",
  );
  refuse(
    () => packWeights(8, new Int8Array(31), 1, 32),
    "needs 32 bytes of values: current length is 31",
  );
  refuse(
    () => activationBytes(3, 30, 4),
    "Cannot place activations: k must be a multiple of 4",
  );
  refuse(
    () => cacheBytes(2, 100, 64),
    "capacity must be a multiple of 8: current value is 100",
  );
  refuse(
    () => cacheBytes(2, 96, 60),
    "headDim must be a multiple of 8: current value is 60",
  );
  refuse(
    () => rowScratchBytes(0),
    "k must be a multiple of 4: current value is 0",
  );
  refuse(
    () => attentionItems(1, 8, 3),
    "heads must be a multiple of 3: current value is 8",
  );
  refuse(
    () => packHadamard(hadamardMatrix(2), 2),
    "the order must be 1 or a multiple of 4",
  );
});
