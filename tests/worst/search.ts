/**
 * Searches for the input that needs the most time or memory: inputs that cost more
 * than earlier ones are kept and extended. It measures work, not crashes; refused and
 * accepted inputs count alike.
 * @module
 */
import { cpuMs } from "../cpu_time.ts";
import { type Bytes, type Draw, drawOf, joined, pick } from "../fuzz/mutate.ts";

/** What is made to work. */
export interface WorstTarget {
  /** Its name. */
  readonly name: string;
  /** Valid input. */
  readonly seeds: readonly Uint8Array[];
  /** Pieces that cost something. */
  readonly words: readonly string[];
  /** Largest input that its limits let through. */
  readonly mostBytes: number;
  /** Reads; what it returns or throws does not matter. */
  readonly run: (bytes: Bytes) => unknown;
}

/** What an input costs. */
export interface Cost {
  /** Milliseconds. */
  readonly ms: number;
  /** Growth of the process while it was read, at its highest, in MiB. */
  readonly mb: number;
  /** Bytes of the input. */
  readonly bytes: number;
}

/** The worst that was found of each kind, and the inputs. */
export interface Worst {
  evaluations: number;
  readonly kinds: Record<
    string,
    { readonly cost: Cost; readonly input: string }
  >;
}

/** What is searched for: the larger the better. An input of a few bytes is no finding by itself. */
const KINDS: Readonly<Record<string, (cost: Cost) => number>> = {
  "time": ({ ms }) => ms,
  "memory": ({ mb }) => mb,
  "time per byte": ({ ms, bytes }) => ms / (bytes + 1000),
  "memory per byte": ({ mb, bytes }) => mb / (bytes + 1000),
};

/** Runs an input; what is much is the less of two runs, since a machine may be busy. */
export async function costOf(target: WorstTarget, bytes: Bytes): Promise<Cost> {
  const first = await once(target, bytes);
  if (first.ms < 300 && first.mb < 100) return first;
  const second = await once(target, bytes);
  return {
    ms: Math.min(first.ms, second.ms),
    mb: Math.min(first.mb, second.mb),
    bytes: bytes.length,
  };
}

async function once(target: WorstTarget, bytes: Bytes): Promise<Cost> {
  (globalThis as { gc?: () => void }).gc?.();
  const peak = peakMemory(), begun = cpuMs();
  try {
    const result = target.run(bytes.slice());
    if (result instanceof Promise) await result;
  } catch { /* a refusal */ }
  const ms = cpuMs() - begun;
  return { ms, mb: peak() / 2 ** 20, bytes: bytes.length };
}

/** Bytes by which the process grows from now on, at its highest where Linux tells that. */
function peakMemory(): () => number {
  const before = Deno.memoryUsage().rss;
  let resets = false;
  try {
    Deno.writeTextFileSync("/proc/self/clear_refs", "5");
    resets = true;
  } catch { /* another system, or it may not be asked */ }
  return () => {
    const after = Deno.memoryUsage().rss;
    if (!resets) return Math.max(0, after - before);
    const status = Deno.readTextFileSync("/proc/self/status");
    const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
    return Math.max(0, peak - before);
  };
}

/** Tries `evaluations` inputs of a target; the same seed tries the same ones as long as they cost alike. */
export async function search(
  target: WorstTarget,
  seed: number,
  evaluations: number,
): Promise<Worst> {
  const draw = drawOf(seed, target.name, 0);
  const best = new Map<string, { cost: Cost; bytes: Bytes }>();
  const offer = async (bytes: Bytes) => {
    const cost = await costOf(target, bytes);
    for (const [kind, value] of Object.entries(KINDS)) {
      const known = best.get(kind);
      if (!known || value(cost) > value(known.cost)) {
        best.set(kind, { cost, bytes });
      }
    }
  };
  for (const bytes of target.seeds) await offer(bytes.slice());
  const pool = () => [
    ...[...best.values()].map(({ bytes }) => bytes),
    ...target.seeds,
  ];
  for (let i = 0; i < evaluations; i++) {
    let bytes = pick(draw, pool()).slice() as Bytes;
    for (let n = 1 + draw(3); n > 0; n--) {
      bytes = grown(draw, bytes, target, pick(draw, pool()));
    }
    await offer(bytes.slice(0, target.mostBytes));
  }
  return {
    evaluations,
    kinds: Object.fromEntries(
      [...best].map(([kind, { cost, bytes }]) => [kind, {
        cost,
        input: bytes.length > 2000
          ? `${decoder.decode(bytes.subarray(0, 2000))}…`
          : decoder.decode(bytes),
      }]),
    ),
  };
}

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** A change that is likely to make an input cost more. */
function grown(
  draw: Draw,
  bytes: Bytes,
  { words, mostBytes }: WorstTarget,
  other: Uint8Array,
): Bytes {
  const { length } = bytes, at = draw(length + 1);
  const room = mostBytes - length;
  const put = (piece: Uint8Array, from = at, to = at) =>
    joined(bytes.subarray(0, from), piece, bytes.subarray(to));
  switch (draw(6)) {
    case 0:
    case 1: { // a piece many times
      const size = Math.min(length - at, 1 + draw(1 << (1 + draw(10))));
      if (size === 0 || room < size) return bytes;
      const most = Math.floor(room / size);
      const times = Math.min(
        most,
        1 << draw(1 + Math.ceil(Math.log2(most + 1))),
      );
      const piece = new Uint8Array(size * times);
      const from = bytes.subarray(at, at + size);
      for (let i = 0; i < times; i++) piece.set(from, i * size);
      return put(piece);
    }
    case 2: { // a word many times
      const word = encoder.encode(pick(draw, words));
      const times = Math.min(1 << draw(12), Math.floor(room / word.length));
      if (times < 1) return bytes;
      const piece = new Uint8Array(word.length * times);
      for (let i = 0; i < times; i++) piece.set(word, i * word.length);
      return put(piece);
    }
    case 3: { // another number
      const text = decoder.decode(bytes.subarray(at, at + 2000));
      const found = /\d+/.exec(text);
      if (!found) return bytes;
      const from = at + encoder.encode(text.slice(0, found.index)).length;
      const value = pick(draw, [
        "0",
        "1",
        "64",
        "4096",
        "100000",
        "1e6",
        "1e9",
      ]);
      return put(encoder.encode(value), from, from + found[0].length);
    }
    case 4: { // a piece of another
      const from = draw(other.length + 1);
      const size = Math.min(other.length - from, room, 1 + draw(4096));
      return put(other.subarray(from, from + size));
    }
    default: { // a piece less
      const size = Math.min(length - at, 1 + draw(1 << draw(12)));
      return put(new Uint8Array(0), at, at + size);
    }
  }
}
