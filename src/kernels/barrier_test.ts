import { assertEquals } from "@std/assert";
import { BARRIER_BYTES } from "./signatures/load.ts";
import { kernelMemory, kernelModule, loadKernels } from "./load.ts";

/** Adds 1 to its own counter, meets, checks that all counters are equal, meets again. */
const worker = `
onmessage = ({ data: { module, memory, thread, threads, rounds, spin } }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const i32 = new Int32Array(memory.buffer);
  let wrong = 0;
  for (let round = 1; round <= rounds; round++) {
    i32[64 + thread] = round;
    exports.barrier__simd(1024, threads, spin);
    for (let t = 0; t < threads; t++) if (i32[64 + t] !== round) wrong++;
    exports.barrier__simd(1024 + ${BARRIER_BYTES}, threads, spin);
  }
  postMessage(wrong);
};`;

for (const spin of [0, 50, 10000]) {
  Deno.test(`barrier: three threads on few cores, ${spin} spins before sleep`, async () => {
    const memory = kernelMemory(1, true), module = kernelModule("simd", true);
    const url = `data:text/javascript,${encodeURIComponent(worker)}`;
    const rounds = spin ? 300 : 100, threads = 3;
    const workers = Array.from(
      { length: threads },
      () => new Worker(url, { type: "module" }),
    );
    const wrong = await Promise.all(
      workers.map((w, thread) =>
        new Promise((resolve, reject) => {
          w.onmessage = (e) => resolve(e.data);
          w.onerror = reject;
          w.postMessage({ module, memory, thread, threads, rounds, spin });
        })
      ),
    );
    for (const w of workers) w.terminate();
    assertEquals(wrong, [0, 0, 0]);
  });
}

Deno.test("barrier: one thread passes at once, shared or not", () => {
  for (const shared of [false, true]) {
    loadKernels({ memory: kernelMemory(1, shared), build: "simd" }).barrier(
      1024,
      1,
      10,
    );
  }
});
