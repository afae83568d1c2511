/**
 * Runs a reader on damaged input: it must return, or throw one of its own errors,
 * within limits of time and memory. Input `index` of a target under a seed is always
 * the same bytes.
 * @module
 */
import { type Bytes, drawOf, pick } from "./mutate.ts";
import { codeOf, objection, type Target } from "./target.ts";

/** Longest time for one input, in milliseconds. */
export const MOST_MS = 100;

/** Most bytes a reader may allocate at once for an input of `length` bytes. */
export const mostBytes = (length: number): number => 4 * length + 16 * 2 ** 20;

/** Something a reader should not have done. */
export interface Finding {
  /** Name of the target. */
  readonly target: string;
  /** Seed of the run. */
  readonly seed: number;
  /** Number of the input. */
  readonly index: number;
  /** What happened. */
  readonly what: string;
  /** The input. */
  readonly input: string;
}

/** What came of a run over one target. */
export interface Tally {
  /** Inputs tried. */
  inputs: number;
  /** Inputs read without an error. */
  read: number;
  /** Refusals by code. */
  codes: Record<string, number>;
  /** Longest time of an input, in milliseconds. */
  slowestMs: number;
  /** Largest allocation of an input, in bytes. */
  largest: number;
  /** Growth of the process meanwhile, in bytes. */
  grown: number;
  /** What should not have happened; at most 20 are kept. */
  findings: Finding[];
}

/** Input `index` of `target` under `seed`. */
export function inputOf(target: Target, seed: number, index: number): Bytes {
  const draw = drawOf(seed, target.name, index);
  return target.mutate(draw, pick(draw, target.seeds));
}

/** Tries inputs `from` to `to` − 1. */
export async function attack(
  target: Target,
  seed: number,
  from: number,
  to: number,
): Promise<Tally> {
  const tally: Tally = {
    inputs: 0,
    read: 0,
    codes: {},
    slowestMs: 0,
    largest: 0,
    grown: 0,
    findings: [],
  };
  const memory = countAllocations(), { mostMs = MOST_MS } = target;
  const { rss } = Deno.memoryUsage();
  try {
    for (let index = from; index < to; index++) {
      const bytes = inputOf(target, seed, index);
      const note = (what: string) =>
        report(tally, target, bytes, seed, index, what);
      memory.reset();
      let ms = await tryOne(target, bytes, tally, seed, index);
      if (ms > mostMs) ms = await again(target, bytes, ms, mostMs); // or was it the machine?
      const most = memory.largest();
      tally.inputs++;
      tally.slowestMs = Math.max(tally.slowestMs, ms);
      tally.largest = Math.max(tally.largest, most);
      if (ms > mostMs) note(`took ${Math.round(ms)} ms`);
      if (most > mostBytes(bytes.length)) note(`allocated ${most} bytes`);
    }
  } finally {
    memory.stop();
  }
  tally.grown = Deno.memoryUsage().rss - rss;
  return tally;
}

async function tryOne(
  target: Target,
  bytes: Bytes,
  tally: Tally,
  seed: number,
  index: number,
): Promise<number> {
  const begin = performance.now();
  try {
    const result = target.read(bytes);
    if (result instanceof Promise) await result;
    tally.read++;
  } catch (error) {
    const wrong = objection(target, error);
    if (wrong) report(tally, target, bytes, seed, index, wrong);
    const code = codeOf(error);
    tally.codes[code] = (tally.codes[code] ?? 0) + 1;
  }
  return performance.now() - begin;
}

/** The shortest of three more times: a busy machine is not the reader's fault. */
async function again(
  target: Target,
  bytes: Bytes,
  ms: number,
  mostMs: number,
): Promise<number> {
  for (let i = 0; i < 3 && ms > mostMs; i++) {
    const begin = performance.now();
    try {
      await target.read(bytes);
    } catch { /* it was counted */ }
    ms = Math.min(ms, performance.now() - begin);
  }
  return ms;
}

function report(
  tally: Tally,
  target: Target,
  bytes: Bytes,
  seed: number,
  index: number,
  what: string,
) {
  if (tally.findings.length >= 20) return;
  const input = bytes.toBase64();
  tally.findings.push({ target: target.name, seed, index, what, input });
}

const COUNTED = [
  ...["ArrayBuffer", "Uint8Array", "Int8Array", "Uint16Array", "Int16Array"],
  ...["Uint32Array", "Int32Array", "Float32Array", "Float64Array"],
  "BigInt64Array",
] as const;

/** Notes the largest buffer anybody makes, by standing in for the constructors. */
function countAllocations() {
  const all = globalThis as unknown as Record<
    string,
    new (n: number) => object
  >;
  const real = COUNTED.map((name) => [name, all[name]] as const);
  let largest = 0;
  for (const [name, made] of real) {
    const { BYTES_PER_ELEMENT: size = 1 } = made as {
      BYTES_PER_ELEMENT?: number;
    };
    all[name] = new Proxy(made, {
      construct(target, args, newTarget) {
        if (typeof args[0] === "number") {
          largest = Math.max(largest, args[0] * size);
        }
        const as = newTarget === all[name] ? target : newTarget;
        return Reflect.construct(target, args, as);
      },
    });
  }
  return {
    reset: () => void (largest = 0),
    largest: () => largest,
    stop() {
      for (const [name, made] of real) all[name] = made;
    },
  };
}
