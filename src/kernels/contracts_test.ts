/**
 * Every export of every build against its contract's reference: the same
 * arguments over two equal memories must leave the same bytes everywhere but in
 * scratch, so a write outside the output shows as well as a wrong bit.
 */
import { assert } from "@std/assert";
import { NoiseArena } from "./arena.ts";
import { contracts, type KernelName } from "./contracts.ts";
import type { Case, KernelFunction } from "./contract.ts";
import {
  type Build,
  implementations,
  kernelMemory,
  kernelModule,
  supportsRelaxed,
} from "./load.ts";
import { viewsOf } from "./views.ts";

const builds: [Build, boolean][] = [
  ["simd", false],
  ["simd", true],
  ["relaxed", false],
  ["relaxed", true],
];

/** First difference outside scratch, in words for a person. */
function difference(
  want: ArrayBufferLike,
  got: ArrayBufferLike,
  ignored: [number, number][],
): string | undefined {
  const a = new Uint32Array(want), b = new Uint32Array(got);
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue;
    if (ignored.some(([s, e]) => i * 4 >= s && i * 4 < e)) {
      continue;
    }
    const [f, g] = [new Float32Array(want)[i], new Float32Array(got)[i]];
    return `at byte ${i * 4}: want ${a[i].toString(16)} (${f}), got ${
      b[i].toString(16)
    } (${g})`;
  }
}

const PAGES = 96;

/** Arguments, bytes before and bytes after, by the reference. */
interface Expectation {
  args: number[];
  before: Uint8Array;
  after: ArrayBuffer;
  ignored: [number, number][];
}

function expectation(name: KernelName, c: Case): Expectation {
  const memory = new ArrayBuffer(PAGES * 65536), arena = new NoiseArena(memory);
  const args = c.build(arena),
    before = new Uint8Array(memory.slice(0, arena.top));
  const run = contracts[name].reference(viewsOf(memory)) as KernelFunction;
  run(...args);
  return {
    args,
    before,
    after: memory.slice(0, arena.top),
    ignored: arena.ignored,
  };
}

for (const name of Object.keys(contracts) as KernelName[]) {
  Deno.test(`${name}: every implementation leaves the reference's bytes`, () => {
    const machines = builds.filter(([build]) =>
      build === "simd" || supportsRelaxed()
    )
      .map(([build, shared]) => {
        const module = kernelModule(build, shared),
          memory = kernelMemory(PAGES, shared);
        const { exports } = new WebAssembly.Instance(module, {
          env: { memory },
        });
        const entries = implementations(module, name);
        assert(entries.length > 0, `${build}: no implementation of ${name}`);
        return { build, shared, memory, exports, entries };
      });
    for (const c of contracts[name].cases) {
      const { args, before, after, ignored } = expectation(name, c);
      for (const { build, shared, memory, exports, entries } of machines) {
        for (const entry of entries) {
          const bytes = new Uint8Array(memory.buffer, 0, before.length);
          bytes.set(before);
          (exports[entry] as KernelFunction)(...args);
          const wrong = difference(after, bytes.slice().buffer, ignored);
          assert(
            !wrong,
            `${build}${shared ? "-shared" : ""} ${entry}, ${c.name}: ${wrong}`,
          );
        }
      }
    }
  });
}

Deno.test("every export belongs to a contract", () => {
  for (const [build, shared] of builds) {
    for (
      const { name } of WebAssembly.Module.exports(kernelModule(build, shared))
    ) {
      const [left] = name.split("__");
      assert(left in contracts || name === "memory", `${build}: ${name}`);
    }
  }
});

Deno.test("a wrong bit and a stray write are found, scratch is not compared", () => {
  const want = new ArrayBuffer(64), got = () => new Uint8Array(64);
  const one = (at: number) => {
    const bytes = got();
    bytes[at] = 1;
    return difference(want, bytes.buffer, [[16, 32]]);
  };
  assert(difference(want, got().buffer, []) === undefined);
  assert(one(0)?.startsWith("at byte 0"));
  assert(one(63)?.startsWith("at byte 60"));
  assert(one(20) === undefined);
});
