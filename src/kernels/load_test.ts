import { assert, assertEquals, assertThrows } from "@std/assert";
import { referenceKernels } from "./reference/mod.ts";
import { KERNEL_NAMES, type Kernels } from "./signatures/mod.ts";
import {
  bestBuild,
  type Build,
  implementations,
  kernelMemory,
  kernelModule,
  loadKernels,
  supportsRelaxed,
  wideDots,
} from "./load.ts";

const builds: Build[] = supportsRelaxed() ? ["simd", "relaxed"] : ["simd"];

Deno.test("loadKernels offers one function per kernel, in every build", () => {
  for (const build of builds) {
    for (const shared of [false, true]) {
      const kernels = loadKernels({ memory: kernelMemory(1, shared), build });
      assertEquals(Object.keys(kernels), KERNEL_NAMES);
      for (const f of Object.values(kernels)) {
        assertEquals(typeof f, "function");
      }
    }
  }
});

Deno.test("loadKernels prefers relaxed implementations, and can be told otherwise", () => {
  if (!supportsRelaxed()) return;
  const module = kernelModule("relaxed", false);
  assertEquals(bestBuild(), "relaxed");
  assert(implementations(module, "gemm_w4a8")[0].includes("__relaxed"));
  const memory = kernelMemory(1, false);
  loadKernels({ memory, prefer: { gemm_w4a8: "simd_4x8" } });
  assertThrows(
    () => loadKernels({ memory, prefer: { gemm_w4a8: "scalar" } }),
    Error,
    "Cannot load kernel gemm_w4a8",
  );
});

Deno.test("a posted module works over the same shared memory", () => {
  const memory = kernelMemory(1, true), module = kernelModule("simd", true);
  const copy: Kernels = loadKernels({
    memory,
    module: structuredClone(module),
  });
  const f32 = new Float32Array(memory.buffer);
  f32.fill(1.5, 1024, 1032);
  copy.add_f32(4096, 8, 4096, 8, 8, 0, 1);
  assertEquals([...f32.subarray(1024, 1033)], [...Array(8).fill(3), 0]);
});

Deno.test("references are the same interface in TypeScript", () => {
  const buffer = new ArrayBuffer(1024), f32 = new Float32Array(buffer);
  f32.fill(2, 0, 8);
  referenceKernels(buffer).copy_f32(64, 4, 0, 4, 4, 0, 2);
  assertEquals([...f32.subarray(16, 24)], Array(8).fill(2));
});

Deno.test("32-bit dot products are preferred where they are one instruction", () => {
  if (!supportsRelaxed()) return;
  const module = kernelModule("relaxed", false);
  const [first] = implementations(module, "gemm_w4a8");
  assertEquals(first.includes("__relaxed_dot"), wideDots());
  assertEquals(
    implementations(module, "gemm_w8a8").some((e) => e.includes("dot8")),
    wideDots(),
  );
});
