import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { normal, random } from "../tensor/random.ts";
import { quantizeInt8, roundEven } from "../tensor/round.ts";
import { count, expectedError, histogram, scaleOf } from "./histogram.ts";

function seen(values: Iterable<number>) {
  const h = histogram();
  for (const v of values) count(h, v);
  return h;
}

Deno.test("roundEven: halves go to the even neighbour", () => {
  assertEquals([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, -3.7].map(roundEven), [
    0,
    2,
    2,
    0,
    -2,
    2,
    -4,
  ]);
});

Deno.test("code saturates at -128 and 127", () => {
  assertEquals([1e9, 127.4, -128.6, -1e9].map((x) => quantizeInt8(x, 1)), [
    127,
    127,
    -128,
    -128,
  ]);
});

Deno.test("scaleOf: minmax spans the range, mse clips a rare outlier, zeros get a positive scale", () => {
  const next = random(9),
    values = Array.from({ length: 200000 }, () => normal(next));
  values.push(12);
  const h = seen(values);
  assertAlmostEquals(scaleOf(h, "minmax"), 12 / 127, 1e-7);
  assert(scaleOf(h, "mse") < 11 / 127);
  assert(scaleOf(seen([0, 0]), "mse") > 0);
});

Deno.test("expectedError is what rounding really loses, within 5 %", () => {
  const next = random(3),
    values = Array.from({ length: 50000 }, () => 3 * normal(next));
  for (const scale of [0.02, 0.1, 0.5]) {
    const real = values.reduce(
      (s, v) =>
        s +
        (v - Math.max(-127, Math.min(127, roundEven(v / scale))) * scale) ** 2,
      0,
    );
    assertAlmostEquals(expectedError(seen(values), scale), real, 0.05 * real);
  }
});

Deno.test("ranges only grow with more samples", () => {
  const next = random(5),
    values = Array.from({ length: 1000 }, () => normal(next));
  let last = 0;
  for (let n = 100; n <= 1000; n += 100) {
    const scale = scaleOf(seen(values.slice(0, n)), "minmax");
    assert(scale >= last);
    last = scale;
  }
});

Deno.test("scaleOf a share: so many values are not clipped, and no more range than they need", () => {
  const h = seen(Array.from({ length: 1000 }, (_, i) => (i + 1) / 1000));
  const scale = scaleOf(h, { share: 0.9 });
  assert(scale * 127 >= 0.9 && scale * 127 < 0.9 * 1.04, `${scale * 127}`);
  assertEquals(scaleOf(h, { share: 1 }), scaleOf(h, "minmax"));
});
