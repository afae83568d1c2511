/**
 * How fast weights can come from memory: one thread, then two at once, each over
 * 128 MiB of its own in one wasm memory (4 KiB pages, as a model has them), by
 * the product of one row, which reads as fast as a plain read does. From that,
 * the most single tokens a second that the shapes of shapes.ts allow.
 *
 *     deno run --allow-read bench/ceiling.ts
 *
 * @module
 */
import { table } from "../src/cli/table.ts";
import { weightBytes } from "../src/kernels/layout.ts";
import {
  kernelMemory,
  kernelModule,
  loadKernels,
} from "../src/kernels/load.ts";
import { gemv_w4a8 } from "../src/kernels/signatures/matmul.ts";
import { run } from "../src/kernels/signatures/mod.ts";
import { TEXT, type TextShape } from "./shapes.ts";

const MiB = 1 << 20, SPAN = 128 * MiB, PLACE = 16 * MiB, MS = 1500;
const [K, N] = [2048, 8192];

/** Name of the second thread, which runs this file, too. */
const READER = "reader";

interface Start {
  readonly memory: WebAssembly.Memory;
  readonly module: WebAssembly.Module;
  readonly thread: number;
}

/** GB/s of one thread's sweeps for MS milliseconds. */
function sweep({ memory, module, thread }: Start): number {
  const kernels = loadKernels({ memory, module, shared: true });
  const own = thread * MiB, bytes = weightBytes(4, N, K);
  const [x, sums, alpha, bias, y] = [1, 2, 3, 4, 5].map((i) => own + i * 65536);
  const from = PLACE + thread * SPAN, begin = performance.now();
  let read = 0, at = 0;
  while (performance.now() - begin < MS) {
    run(kernels, gemv_w4a8, {
      x,
      sums,
      w: from + at,
      alpha,
      bias,
      y,
      k: K,
      n: [0, N],
      accumulate: 0,
    });
    read += bytes;
    at = at + 2 * bytes > SPAN ? 0 : at + bytes;
  }
  return read / (performance.now() - begin) / 1e6;
}

/** Bytes of weights a token reads: layers of 4 bits, a head of `head`. */
function bytesOf(s: TextShape, head: number): number {
  const { dim, ffn, heads, kvHeads, headDim } = s;
  const layer = dim * (2 * heads + 2 * kvHeads) * headDim + 3 * dim * ffn;
  return s.layers * layer / 2 + s.vocabulary * dim * head / 8;
}

async function main(): Promise<void> {
  const memory = kernelMemory((PLACE + 2 * SPAN) / 65536, true);
  const module = kernelModule("relaxed", true);
  const bytes = new Uint8Array(memory.buffer);
  for (let i = 0; i < MiB; i++) bytes[i] = Math.imul(i, 0x9e3779b1) >>> 24;
  for (let at = MiB; at < bytes.length; at += MiB) {
    bytes.copyWithin(at, 0, MiB); // untouched pages would all be one
  }
  const worker = new Worker(import.meta.url, { type: "module", name: READER });
  const there = () =>
    new Promise<number>((done) => worker.onmessage = (e) => done(e.data));
  const ready = there();
  worker.postMessage({ memory, module, thread: 1 } satisfies Start);
  await ready; // its warm-up alone
  const one = sweep({ memory, module, thread: 0 });
  const other = there();
  worker.postMessage({ memory, module, thread: 1 } satisfies Start);
  const two = sweep({ memory, module, thread: 0 }) + await other;
  worker.terminate();
  console.log(
    `one thread ${one.toFixed(1)} GB/s, two ${two.toFixed(1)} GB/s\n`,
  );
  console.log(table([
    ["shape", "head", "MB a token", "tokens/s, one thread", "two"],
    ...TEXT.flatMap((s) =>
      [8, 4].map((head) => {
        const bytes = bytesOf(s, head),
          most = (x: number) => (x * 1e9 / bytes).toFixed(0);
        return [
          s.name,
          `${head} bits`,
          (bytes / 1e6).toFixed(1),
          most(one),
          most(two),
        ];
      })
    ),
  ]));
}

const scope = globalThis as unknown as {
  name?: string;
  onmessage?: (e: MessageEvent<Start>) => void;
  postMessage(result: number): void;
};
if (scope.name !== READER) await main();
else scope.onmessage = ({ data }) => scope.postMessage(sweep(data));
