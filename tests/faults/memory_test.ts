/**
 * Out of memory: each large allocation fails once; checks the error and that nothing
 * is left behind.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { main } from "../../src/cli/main.ts";
import { toy } from "../agreement/toy_file.ts";

const LARGE = 256; // bytes: the toy has no larger ones than some thousand

/** Runs `work` while the `at`-th large allocation fails; returns how many there were. */
async function withoutMemory(
  at: number,
  work: () => Promise<void>,
): Promise<number> {
  let count = 0;
  const restore: (() => void)[] = [];
  const may = (bytes: number) => {
    if (bytes >= LARGE && ++count === at) {
      throw new RangeError("Array buffer allocation failed");
    }
  };
  // deno-lint-ignore no-explicit-any
  const all = globalThis as any;
  for (
    const name of ["Uint8Array", "Float32Array", "Float64Array", "Int32Array"]
  ) {
    const real = all[name];
    all[name] = new Proxy(real, {
      construct(target, args, as) {
        if (typeof args[0] === "number") may(args[0] * real.BYTES_PER_ELEMENT);
        return Reflect.construct(target, args, as === all[name] ? target : as);
      },
    });
    restore.push(() => all[name] = real);
  }
  const { Memory } = WebAssembly;
  WebAssembly.Memory = new Proxy(Memory, {
    construct(target, args) {
      may(args[0].initial * 65536);
      return Reflect.construct(target, args);
    },
  });
  restore.push(() => WebAssembly.Memory = Memory);
  const { grow } = Memory.prototype;
  Memory.prototype.grow = function (pages) {
    may(pages * 65536);
    return grow.call(this, pages);
  };
  restore.push(() => Memory.prototype.grow = grow);
  try {
    await work();
  } finally {
    for (const undo of restore) undo();
  }
  return count;
}

Deno.test({
  name:
    "a caption without memory at any allocation: one sentence, exit code 1, no output",
  sanitizeResources: false,
  async fn() {
    const path = Deno.makeTempFileSync({ suffix: ".safetensors" });
    Deno.writeFileSync(path, toy().bytes);
    const caption = async () => {
      const out: string[] = [], err: string[] = [];
      const controller = new AbortController();
      const code = await main([
        "caption",
        "--quiet",
        "--threads=1",
        "--max-tokens=3",
        `--model=${path}`,
        "models/photo-mini/photos/cat.jpg",
      ], {
        out: (text) => void out.push(text),
        err: (line) => void err.push(line),
        status() {},
        signal: controller.signal,
        controller,
      });
      return { code, out: out.join(""), err };
    };
    try {
      const want = await caption();
      assertEquals(want.code, 0);
      const count = await withoutMemory(0, async () => void await caption());
      assert(count > 20, `${count} large allocations`);
      let refused = 0;
      for (let at = 1; at <= count; at++) {
        let got = want;
        await withoutMemory(at, async () => void (got = await caption()));
        if (got.code === 0) assertEquals(got.out, want.out);
        else {
          refused++;
          assertEquals([got.code, got.err.length], [1, 1], got.err.join("|"));
          assertMatch(got.err[0], /^Cannot .*(memory|decoded).*; /);
        }
        assertEquals(await caption(), want, `after a failure at ${at}`);
      }
      assert(refused > count / 2, `${refused} of ${count}`);
    } finally {
      Deno.removeSync(path);
    }
  },
});
