/**
 * Measures kernels on this machine: every kernel and shape in turn, in many
 * interleaved rounds of one process, next to a counting loop that shows the
 * clock. On a busy host read the best values.
 * @module
 */
import { jobs } from "./bench_jobs.ts";
import { bestBuild, type Build } from "./load.ts";

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

/** Options of the benchmark. */
export interface BenchOptions {
  /** Default: best of this engine. */
  build?: Build;
  /** Rounds over everything (default 40). */
  rounds?: number;
  /** Only exports whose name contains one of these. */
  only?: string[];
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
