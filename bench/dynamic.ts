/**
 * `deno task bench:dynamic`: what static scales save. The linears of a layer,
 * with static scales and with a scale per token taken as the tokens come, by
 * turns in one process on one thread. The twin lives here: no model can call it.
 *
 * A dynamic product must look at a whole row before it can round any of it, and
 * multiply the row's scale in behind the sums. The scale could be folded into
 * the product's last step; so two twins are measured, one that multiplies in a
 * pass of its own (an upper bound of what dynamic costs) and one that leaves
 * the multiplication out (a lower bound).
 * @module
 */
import asc from "assemblyscript/asc";
import { gemmScratchBytes, weightBytes } from "../src/kernels/layout.ts";
import { kernelMemory, loadKernels } from "../src/kernels/load.ts";
import { run, signatures } from "../src/kernels/signatures/mod.ts";
import { TEXT } from "./shapes.ts";

const MiB = 1 << 20;
const at = {
  scratch: 1 * MiB,
  scales: 2 * MiB,
  x: 4 * MiB,
  a: 32 * MiB,
  sums: 40 * MiB,
  alpha: 41 * MiB,
  bias: 42 * MiB,
  y: 48 * MiB,
  w: 112 * MiB,
};
const ROUNDS = 40;

interface Twin {
  quantize_rows(...args: number[]): void;
  scale_rows(...args: number[]): void;
}

/** The twin's row kernels, compiled as `deno task build` compiles the others. */
async function compileTwin(memory: WebAssembly.Memory): Promise<Twin> {
  const root = new URL("../", import.meta.url);
  let wasm: Uint8Array<ArrayBuffer> | undefined;
  const { error, stderr } = await asc.main([
    "bench/twin/rows.ts",
    "--config",
    "asconfig.json",
    "--target",
    "relaxed",
    "--outFile",
    "twin.wasm",
  ], {
    readFile(name: string) {
      try {
        return Deno.readTextFileSync(new URL(name, root));
      } catch {
        return null;
      }
    },
    writeFile: (_: string, data: string | Uint8Array) => {
      if (typeof data !== "string") wasm = new Uint8Array(data);
    },
    listFiles: () => [],
  });
  if (error || !wasm) throw new Error(`Cannot compile the twin:\n${stderr}`);
  const module = new WebAssembly.Module(wasm);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return exports as unknown as Twin;
}

/** Times of one round in ms: static, dynamic at least, dynamic at most. */
type Times = readonly [number, number, number];

const memory = kernelMemory(160 * 16, false);
const kernels = loadKernels({ memory });
const twin = await compileTwin(memory);
new Uint32Array(memory.buffer).forEach((_, i, all) =>
  all[i] = Math.imul(i, 0x9e3779b1)
);
const floats = new Float32Array(memory.buffer);
for (let i = at.scales >> 2; i < at.a >> 2; i++) floats[i] = Math.sin(i);
for (let i = at.alpha >> 2; i < at.w >> 2; i++) floats[i] = 0.01;

function measure(
  rows: number,
  linears: readonly (readonly [number, number])[],
): Times {
  const time = (work: (k: number, n: number) => void) => {
    const begin = performance.now();
    for (const [k, n] of linears) work(k, n);
    return performance.now() - begin;
  };
  const multiply = (k: number, n: number) =>
    run(kernels, signatures.gemm_w4a8, {
      x: at.a,
      sums: at.sums,
      w: at.w,
      alpha: at.alpha,
      bias: at.bias,
      y: at.y,
      rows,
      k,
      ldy: n,
      n: [0, n],
      scratch: at.scratch,
      accumulate: 0,
    });
  const dynamic = (k: number, n: number) => {
    twin.quantize_rows(at.x, k, at.scales, at.a, at.sums, k, 0, rows, 4);
    multiply(k, n);
  };
  return [
    time((k, n) => {
      run(kernels, signatures.quantize_f32_s8, {
        x: at.x,
        ldx: k,
        inv: 127,
        q: at.a,
        sums: at.sums,
        k,
        rows: [0, rows],
        rowBlock: 4,
      });
      multiply(k, n);
    }),
    time(dynamic),
    time((k, n) => {
      dynamic(k, n);
      twin.scale_rows(at.y, n, at.scales, n, rows);
    }),
  ];
}

/** Median with the 95 % interval of order statistics. */
function interval(all: number[]): string {
  const sorted = all.toSorted((a, b) => a - b), n = sorted.length;
  const half = Math.ceil(0.98 * Math.sqrt(n)), middle = n >> 1;
  const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
  const low = sorted[Math.max(0, middle - half)];
  const high = sorted[Math.min(n - 1, middle + half)];
  return `${percent(sorted[middle])} (${percent(low)} to ${percent(high)})`;
}

for (const { name, dim, ffn, heads, kvHeads, headDim } of TEXT.slice(0, 3)) {
  const linears = [
    [dim, (heads + 2 * kvHeads) * headDim],
    [heads * headDim, dim],
    [dim, 2 * ffn],
    [ffn, dim],
  ] as const;
  for (const [k, n] of linears) {
    if (
      weightBytes(4, n, k) > memory.buffer.byteLength - at.w ||
      gemmScratchBytes(k) > MiB
    ) throw new Error(`${name} does not fit`);
  }
  for (const rows of [16, 128, 512]) {
    measure(rows, linears); // warms up
    const rounds = Array.from({ length: ROUNDS }, () => measure(rows, linears));
    const best = (i: number) => Math.min(...rounds.map((t) => t[i]));
    const saved = (i: number) =>
      `${interval(rounds.map((t) => (t[i] - t[0]) / t[i]))}, by best rounds ${
        (100 * (1 - best(0) / best(i))).toFixed(1)
      } %,`;
    console.log(
      `${name}, ${rows} tokens: static saves ${
        saved(1)
      } of a dynamic layer's linear time at least, ${saved(2)} at most`,
    );
  }
}
