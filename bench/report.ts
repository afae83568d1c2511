/**
 * What `bench:peers` measured, kept in docs/reports/peers.json, and the tables
 * that README.md and docs/performance.md make of it (`deno task docs`): nobody
 * types a number.
 * @module
 */
import { CPU_CLASSES, type CpuClass } from "./cpu.ts";
import { writeAll, writeAtomically } from "../src/format/atomic_write.ts";

/** One comparison. */
export interface Row {
  readonly shape: string;
  readonly workload: string;
  readonly threads: number;
  readonly unit: string;
  /** Medians. */
  readonly ours: number;
  readonly peer: number;
  readonly oursBest: number;
  readonly peerBest: number;
  readonly peerName: string;
  /** ours / peer, medians. */
  readonly ratio: number;
  /** Rounds the medians are of. */
  readonly rounds: number;
  /** Day and minute, UTC. */
  readonly at: string;
  /** Class of the CPU it was measured on. */
  readonly cpu: CpuClass;
}

/** What the same row of another run is known by. */
const keyOf = (r: Row) =>
  [r.cpu, r.shape, r.workload, r.threads, r.peerName.split(/[ (]/)[0]]
    .join("|");

/** Classes of CPU that rows were measured on. */
export const classesOf = (rows: readonly Row[]): CpuClass[] =>
  CPU_CLASSES.filter((cpu) => rows.some((r) => r.cpu === cpu));

/** Rows of a report; none where there is no file. */
export function readRows(path: string | URL): Row[] {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Puts rows into a report, in the place of what they measure anew. */
export function keepRows(path: string, rows: readonly Row[]): void {
  const all = new Map([...readRows(path), ...rows].map((r) => [keyOf(r), r]));
  const text = `${JSON.stringify([...all.values()], null, 2)}\n`;
  writeAtomically(
    path,
    (file) => writeAll(file, new TextEncoder().encode(text)),
  );
}

const short = (x: number) => x.toFixed(x < 10 ? 2 : x < 100 ? 1 : 0);

/** Every row: head first, cells as text. */
export function allCells(rows: readonly Row[]): string[][] {
  return [
    ["shape", "work", "threads", "mquant", "best", "peer", "best", "", "ratio"],
    ...rows.map((r) => [
      r.shape,
      r.workload,
      String(r.threads),
      short(r.ours),
      short(r.oursBest),
      short(r.peer),
      short(r.peerBest),
      `${r.unit}, ${r.peerName}`,
      r.ratio.toFixed(2),
    ]),
  ];
}

/** Names of works in the table of ratios. */
const WORKS = {
  pp128: "prompt of 128",
  pp512: "prompt of 512",
  tg64: "single tokens",
  "tg64, head of 4 bits": "the same, head of 4 bits",
} as const;

/** Ratios to llama.cpp, a shape a line: one thread, then two. */
export function llamaCells(rows: readonly Row[]): string[][] {
  const text = rows.filter((r) => r.workload in WORKS);
  const cell = (shape: string, workload: string) =>
    [1, 2].map((threads) =>
      text.find((r) =>
        r.shape === shape && r.workload === workload && r.threads === threads
      )?.ratio.toFixed(2) ?? "–"
    ).join(", ");
  const shapes = [...new Set(text.map((r) => r.shape))];
  return [
    ["llama.cpp, native, Q4_0", ...Object.values(WORKS)],
    ...shapes.map((shape) => [
      shape,
      ...Object.keys(WORKS).map((work) => cell(shape, work)),
    ]),
  ];
}

/** Lowest and highest ratio to llama.cpp of works whose name begins with `work`, on one thread, then on two. */
export function ratios(rows: readonly Row[], work: string): string {
  return [1, 2].flatMap((threads) => {
    const some = rows
      .filter((r) =>
        r.threads === threads && r.workload in WORKS &&
        r.workload.startsWith(work) && !r.workload.includes("4 bits")
      ).map((r) => r.ratio);
    if (some.length === 0) return [];
    const [low, high] = [Math.min(...some), Math.max(...some)];
    return `${low.toFixed(2)}–${high.toFixed(2)} (${threads} thread${
      threads === 1 ? "" : "s"
    })`;
  }).join(", ");
}

/** Ranges of ratios to ONNX Runtime on one thread, a kind of work a line. */
export function onnxCells(rows: readonly Row[]): string[][] {
  const peers = ["onnxruntime-web", "onnxruntime-node"];
  const kinds = new Map<string, Row[]>();
  for (const r of rows) {
    if (r.threads !== 1 || !peers.some((p) => r.peerName.startsWith(p))) {
      continue;
    }
    const one = r.shape.startsWith("1×") ? ", one row" : "";
    const kind = r.unit === "GOPS" ? `${r.workload}${one}` : r.shape;
    kinds.set(kind, [...kinds.get(kind) ?? [], r]);
  }
  const range = (some: readonly Row[]) => {
    const ratios = some.map((r) => r.ratio).sort((a, b) => a - b);
    const ends = [ratios[0], ratios.at(-1)!].map(short);
    return ends[0] === ends[1] ? ends[0] : ends.join(" – ");
  };
  return [
    ["ONNX Runtime, one thread", "in WebAssembly", "native"],
    ...[...kinds].map(([kind, all]) => [
      kind,
      ...peers.map((p) => range(all.filter((r) => r.peerName.startsWith(p)))),
    ]),
  ];
}
