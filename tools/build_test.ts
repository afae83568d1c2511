import { assert, assertEquals } from "@std/assert";
import binaryen from "binaryen";
import { compile, generatedText, TARGETS } from "./build.ts";

const wasm = new Map(
  await Promise.all(TARGETS.map(async (t) => [t, await compile(t)] as const)),
);

Deno.test("a rebuild gives the committed bytes", async () => {
  for (const [target, bytes] of wasm) {
    const path = new URL(
      `../src/kernels/generated/${target.replace("-", "_")}.ts`,
      import.meta.url,
    );
    assertEquals(
      await generatedText(target, bytes),
      await Deno.readTextFile(path),
      `${target} is stale; run deno task build`,
    );
  }
});

Deno.test("kernels import a memory and nothing else: they are leaves", () => {
  for (const bytes of wasm.values()) {
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes));
    assertEquals(imports, [{ module: "env", name: "memory", kind: "memory" }]);
  }
});

Deno.test("only relaxed builds hold relaxed instructions, only shared ones atomics", () => {
  for (const [target, bytes] of wasm) {
    const module = binaryen.readBinary(bytes), text = module.emitText();
    module.dispose();
    assertEquals(
      text.includes("relaxed"),
      target.startsWith("relaxed"),
      target,
    );
    assertEquals(text.includes("atomic"), target.endsWith("shared"), target);
    assert(text.includes("i32x4.dot_i16x8_s"), target);
    assert(!text.includes("call_indirect"), target);
  }
});

Deno.test("asc's optimiser stays off: it costs the kernels up to half of their speed", async () => {
  const text = await Deno.readTextFile(
    new URL("../asconfig.json", import.meta.url),
  );
  const { options, targets } = JSON.parse(text);
  for (const o of [options, ...Object.values(targets)]) {
    assert(
      !(o.optimizeLevel > 1) && !o.optimize && !o.converge,
      "asconfig.json",
    );
  }
});
