/**
 * Every export of every build against its reference: the same call over two equal
 * memories must leave the same bytes everywhere except in scratch. So writes outside
 * the output are detected too.
 */
import { assert, assertEquals } from "@std/assert";
import {
  type Build,
  implementations,
  kernelMemory,
  kernelModule,
  supportsRelaxed,
} from "../../src/kernels/load.ts";
import { references } from "../../src/kernels/reference/mod.ts";
import { viewsOf } from "../../src/kernels/reference/views.ts";
import {
  type KernelFunction,
  named,
  type Operands,
  positional,
  type Signature,
  sizesOf,
} from "../../src/kernels/signature.ts";
import {
  KERNEL_NAMES,
  type KernelName,
  signatures,
} from "../../src/kernels/signatures/mod.ts";
import { NoiseArena } from "./arena.ts";
import type { Case } from "./case.ts";
import { casesOf } from "./cases/mod.ts";

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

/** A kernel's signature, whatever its operands. */
const signatureOf = (name: KernelName) =>
  signatures[name] as unknown as Signature<Operands>;

/** Parameters, bytes before and bytes after, by the reference. */
interface Expectation {
  args: number[];
  before: Uint8Array;
  after: ArrayBuffer;
  ignored: [number, number][];
}

/** What a case places must have at least the bytes that the signature states. */
function checkExtents(
  name: KernelName,
  c: Case,
  call: Record<string, unknown>,
  arena: NoiseArena,
): void {
  const s = signatureOf(name), sizes = sizesOf(s, call as never);
  for (const [key, operand] of Object.entries(s.operands)) {
    if (operand.kind !== "pointer" && operand.kind !== "scratch") continue;
    const bytes = operand.bytes(sizes), address = call[key] as number;
    if (address === 0 || bytes === undefined) continue;
    const room = arena.bytesAt(address);
    assert(bytes <= room, `${name}, ${c.name}: ${key} ${bytes} > ${room}`);
  }
}

function expectation(name: KernelName, c: Case): Expectation {
  const memory = new ArrayBuffer(PAGES * 65536), arena = new NoiseArena(memory);
  const call = c.build(arena);
  checkExtents(name, c, call, arena);
  const before = new Uint8Array(memory.slice(0, arena.top));
  const run = references[name](viewsOf(memory)) as (call: unknown) => void;
  run(call);
  return {
    args: positional(signatureOf(name), call),
    before,
    after: memory.slice(0, arena.top),
    ignored: arena.ignored,
  };
}

for (const name of KERNEL_NAMES) {
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
    for (const c of casesOf(name)) {
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

Deno.test("every export implements a kernel that has a signature", () => {
  for (const [build, shared] of builds) {
    for (
      const { name } of WebAssembly.Module.exports(kernelModule(build, shared))
    ) {
      const [left] = name.split("__");
      assert(left in signatures || name === "memory", `${build}: ${name}`);
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

Deno.test("a call by name and by position are the same", () => {
  const arena = new NoiseArena(new ArrayBuffer(PAGES * 65536));
  for (const name of KERNEL_NAMES) {
    const [first] = casesOf(name);
    if (!first) continue;
    const s = signatureOf(name), call = first.build(arena);
    const order = Object.keys(s.operands);
    assertEquals(
      named(s, positional(s, call)),
      Object.fromEntries(order.map((key) => [key, call[key]])),
      name,
    );
  }
});
