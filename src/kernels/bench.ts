/**
 * Measures kernels on this machine: every kernel and shape in turn, many rounds
 * interleaved in one process, beside a loop that only counts (the clock). On a
 * busy host read the best values: some rounds fall into quiet phases.
 * @module
 */
import { attendItems, paddedK, roundUp, type WeightBits } from "./layout.ts";
import {
  attendScratchBytes,
  cacheBytes,
  groupedBytes,
  packHadamard,
  weightBytes,
} from "./layout.ts";
import { hadamardMatrix, hadamardOrder } from "../tensor/hadamard.ts";
import type { KernelFunction } from "./contract.ts";
import type { KernelName } from "./contracts.ts";
import {
  bestBuild,
  type Build,
  implementations,
  kernelMemory,
  kernelModule,
} from "./load.ts";

/** One kernel at one shape. */
export interface Measurement {
  /** Export that ran. */
  entry: string;
  /** Shape in words. */
  shape: string;
  /** "GOPS" (2 per multiply-add), "GB/s" of weights, or "Gelements/s". */
  unit: string;
  /** Median over the rounds. */
  median: number;
  /** Best round. */
  best: number;
}

/** All of a run. */
export interface BenchReport {
  /** Build that ran. */
  build: Build;
  /** Counting loop, iterations per ns: about the clock in GHz; best and median. */
  clock: { median: number; best: number };
  /** One row per export and shape. */
  measurements: Measurement[];
}

/** What to measure. */
export interface BenchOptions {
  /** Default: best of this engine. */
  build?: Build;
  /** Rounds over everything (default 40). */
  rounds?: number;
  /** Only exports whose name contains one of these. */
  only?: string[];
}

interface Job {
  entry: string;
  shape: string;
  unit: string;
  /** Work of one call in units of 1e9/unit. */
  work: number;
  call: () => void;
}

const MiB = 1 << 20;
const gemmShapes = [
  [5, 576, 1536],
  [20, 576, 1536],
  [60, 576, 1000],
  [128, 576, 1536],
  [196, 320, 1280],
  [512, 2048, 512],
  [1024, 768, 3072],
];
const gemvShapes = [[576, 1536], [2048, 8192]];
/** Columns of a group. */
const GROUP = 64;
const rowShapes = [[196, 1280], [64, 1024], [64, 1536], [64, 3072]];
/** rows, keys, heads, kvHeads, headDim */
const attendShapes = [
  [196, 196, 5, 5, 64],
  [1024, 1024, 2, 2, 64],
  [1, 1024, 9, 3, 64],
];

/** Places: inputs small and reused, weights for cold sweeps in 256 MiB of their own. */
const at = {
  scratch: 1 * MiB,
  a: 4 * MiB,
  sums: 10 * MiB,
  alpha: 11 * MiB,
  bias: 12 * MiB,
  x: 16 * MiB,
  y: 32 * MiB,
  w: 64 * MiB,
};
const COLD_BYTES = 256 * MiB; // larger than any L3 cache here

function jobs(build: Build, only: string[]): Job[] {
  const memory = kernelMemory(320 * 16, false),
    f32 = new Float32Array(memory.buffer);
  const module = kernelModule(build, false);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  new Uint32Array(memory.buffer).forEach((_, i, all) =>
    all[i] = Math.imul(i, 0x9e3779b1)
  );
  for (let i = at.alpha >> 2; i < at.w >> 2; i++) f32[i] = Math.sin(i);
  const out: Job[] = [];
  const add = (
    name: KernelName,
    shape: string,
    unit: string,
    work: number,
    call: (f: KernelFunction) => void,
  ) => {
    for (const entry of implementations(module, name)) {
      if (only.length && !only.some((o) => entry.includes(o))) continue;
      const f = exports[entry] as KernelFunction;
      out.push({ entry, shape, unit, work: work / 1e9, call: () => call(f) });
    }
  };
  /** Both products of one packing; only groups have a `group`, and scratch for one row. */
  const products = (
    [gemm, gemv]: [KernelName, KernelName],
    bytesOf: (n: number, k: number) => number,
    { group = [], scratch = [] }: { group?: number[]; scratch?: number[] } = {},
  ) => {
    const operands = (place: number) => [
      at.a,
      at.sums,
      at.w + place,
      at.alpha,
      at.bias,
      at.y,
    ];
    for (const [m, k, n] of gemmShapes) {
      const args = [...operands(0), m, k, ...group, n, 0, n, at.scratch, 0];
      const work = 2 * m * k * n;
      add(gemm, `${m}×${k}→${n}`, "GOPS", work, (f) => f(...args));
    }
    for (const [k, n] of gemvShapes) {
      const bytes = bytesOf(n, k);
      for (
        const [where, span] of [["cold", COLD_BYTES], ["warm", bytes]] as const
      ) {
        let place = 0;
        add(gemv, `${k}→${n} ${where}`, "GB/s", bytes, (f) => {
          f(...operands(place), k, ...group, 0, n, ...scratch, 0);
          place = place + 2 * bytes > span ? 0 : place + bytes;
        });
      }
    }
  };
  for (const bits of [4, 5, 6, 7, 8] as const) {
    products(
      [`gemm_w${bits}a8`, `gemv_w${bits}a8`],
      (n, k) => weightBytes(bits, n, k),
    );
  }
  products(
    ["gemm_w4ga8", "gemv_w4ga8"],
    (n, k) => groupedBytes(n, k, GROUP),
    { group: [GROUP], scratch: [at.scratch] },
  );
  add(
    "gemm_f32",
    "128×576→1536",
    "GOPS",
    2 * 128 * 576 * 1536,
    (f) => f(at.x, at.w, at.bias, at.y, 128, 576, 576, 1536, 0, 1536),
  );
  for (const [rows, k] of rowShapes) {
    const shape = `${rows}×${k}`, work = rows * k, unit = "Gelements/s";
    const order = hadamardOrder(k)!, matrix = at.w;
    const setUp = () =>
      new Int32Array(memory.buffer).set(
        packHadamard(hadamardMatrix(order), order),
        matrix >> 2,
      );
    add(
      "quantize_f32_s8",
      shape,
      unit,
      work,
      (f) => f(at.x, k, 40, at.a, at.sums, k, 0, rows, 4),
    );
    add(
      "rmsnorm_f32_s8",
      shape,
      unit,
      work,
      (f) => f(at.x, k, 1e-6, 40, at.a, at.sums, k, 0, rows, 4),
    );
    add("hadamard_f32_s8", shape, unit, work, (f) => {
      setUp();
      f(
        at.x,
        k,
        0,
        matrix,
        order,
        1,
        1,
        0,
        at.a,
        at.sums,
        k,
        0,
        rows,
        4,
        at.scratch,
      );
    });
    for (const act of [0, 1, 2]) {
      add(
        "activate_f32_s8",
        `${shape} act ${act}`,
        unit,
        work,
        (f) => f(act, at.x, 0, k, 40, at.a, at.sums, k, 0, rows, 4, at.scratch),
      );
    }
  }
  for (const [rows, keys, heads, kvHeads, d] of attendShapes) {
    const items = attendItems(rows, heads, kvHeads),
      capacity = roundUp(keys, 8);
    const v = at.w + roundUp(cacheBytes(kvHeads, capacity, d), 64);
    if (attendScratchBytes(keys, d) > at.a - at.scratch) {
      throw new Error("scratch");
    }
    add(
      "attend_s8",
      `${rows}×${keys}, ${heads}/${kvHeads} heads of ${d}`,
      "GOPS",
      4 * rows * keys * heads * d,
      (f) =>
        f(
          at.a,
          at.w,
          v,
          at.y,
          heads * d,
          at.alpha,
          at.alpha,
          0,
          0,
          0,
          0,
          rows,
          keys,
          capacity,
          heads,
          kvHeads,
          d,
          0,
          items,
          at.scratch,
        ),
    );
  }
  for (const bits of [4, 7, 8] as WeightBits[]) {
    add(
      `pack_w${bits}`,
      "512×2048",
      "GB/s",
      weightBytes(bits, 512, paddedK(2048)),
      (f) => f(at.w, at.w + 16 * MiB, 512, 2048),
    );
  }
  return out;
}

/** A chain of n additions, each waiting for the one before. */
function count(n: number, x: number): number {
  for (let i = 0; i < n; i++) x = (x + i) | 0;
  return x;
}

/** Additions per ns of that chain: the clock in GHz, once the loop is compiled. */
function clock(): number {
  const n = 2e5, start = performance.now();
  let x = 0;
  for (let i = 0; i < 5; i++) x = count(n, x);
  return 5 * n / (performance.now() - start + (x === 1 ? 1 : 0)) / 1e6;
}

const median = (a: number[]) => a.toSorted((p, q) => p - q)[a.length >> 1];

/** Runs all measurements; takes about a quarter of a second a round. */
export function benchKernels(options: BenchOptions = {}): BenchReport {
  const { build = bestBuild(), rounds = 40, only = [] } = options;
  const all = jobs(build, only), rates = all.map((): number[] => []);
  const clocks: number[] = [];
  for (const { call } of all) for (let i = 0; i < 20; i++) call(); // compile
  for (let round = 0; round < rounds; round++) {
    clocks.push(clock());
    all.forEach(({ call, work }, i) => {
      let calls = 0, ms = 0;
      const start = performance.now();
      do {
        call();
        calls++;
        ms = performance.now() - start;
      } while (ms < 1); // short, so that some rounds fall into quiet phases
      rates[i].push(work * calls / ms * 1e3);
    });
  }
  return {
    build,
    clock: { median: median(clocks), best: Math.max(...clocks) },
    measurements: all.map(({ entry, shape, unit }, i) => ({
      entry,
      shape,
      unit,
      median: median(rates[i]),
      best: Math.max(...rates[i]),
    })),
  };
}

/** The report as a table in text. */
export function benchTable(report: BenchReport): string {
  const lines = report.measurements.map((m) =>
    `${m.entry.padEnd(40)} ${m.shape.padEnd(28)} ${
      m.median.toFixed(2).padStart(9)
    } ${m.best.toFixed(2).padStart(9)} ${m.unit}`
  );
  return [
    `build ${report.build}; clock ${report.clock.median.toFixed(2)} (best ${
      report.clock.best.toFixed(2)
    }) additions per ns`,
    `${"kernel".padEnd(40)} ${"shape".padEnd(28)} ${"median".padStart(9)} ${
      "best".padStart(9)
    }`,
    ...lines,
  ].join("\n");
}
