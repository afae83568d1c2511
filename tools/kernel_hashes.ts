/**
 * Prints a SHA-256 for each kernel: of all bytes that its cases leave in memory,
 * except scratch. Every implementation of every build runs; one hash per line means
 * that all agree, equal lines on two machines mean that the machines agree.
 *
 *     deno run --allow-read --allow-write tools/kernel_hashes.ts CASES [--kib 192]
 *
 * CASES is a file with the test cases of at most `--kib`; it is created if it does
 * not exist. Creating it runs plain TypeScript, which takes minutes on an emulated
 * machine; running the cases takes seconds.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import {
  type KernelFunction,
  type Operands,
  positional,
  type Signature,
} from "../src/kernels/signature.ts";
import {
  KERNEL_NAMES,
  type KernelName,
  signatures,
} from "../src/kernels/signatures/mod.ts";
import { NoiseArena } from "../tests/kernels/arena.ts";
import { casesOf } from "../tests/kernels/cases/mod.ts";
import {
  type Build,
  implementations,
  kernelMemory,
  kernelModule,
  supportsRelaxed,
} from "../src/kernels/load.ts";

/** What every case fits into, in wasm pages. */
const PAGES = 96;

/** A case as it is kept: its memory lies at `at` behind the list of all. */
interface Kept {
  readonly name: KernelName;
  readonly args: readonly number[];
  /** Byte ranges of scratch. */
  readonly ignored: readonly (readonly [number, number])[];
  readonly at: number;
  readonly bytes: number;
}

/** Cases and their memories. */
interface Cases {
  readonly list: readonly Kept[];
  readonly memory: Uint8Array;
}

function make(most: number): Cases {
  const list: Kept[] = [], parts: Uint8Array[] = [];
  const memory = new ArrayBuffer(PAGES * 65536);
  let at = 0;
  for (const name of KERNEL_NAMES) {
    const signature = signatures[name] as unknown as Signature<Operands>;
    for (const c of casesOf(name)) {
      const arena = new NoiseArena(memory);
      const args = positional(signature, c.build(arena));
      const { ignored, top: bytes } = arena;
      if (bytes > most) continue;
      list.push({ name, args, ignored, at, bytes });
      parts.push(new Uint8Array(memory.slice(0, bytes)));
      at += bytes;
    }
  }
  const all = new Uint8Array(at);
  list.forEach((kept, i) => all.set(parts[i], kept.at));
  return { list, memory: all };
}

/** The cases a file holds: length of the list, the list as JSON, memories. */
function read(path: string): Cases | undefined {
  let file: Uint8Array<ArrayBuffer>;
  try {
    file = Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const length = new DataView(file.buffer).getUint32(0, true);
  const json = new TextDecoder().decode(file.subarray(4, 4 + length));
  return { list: JSON.parse(json), memory: file.subarray(4 + length) };
}

function write(path: string, { list, memory }: Cases): void {
  const json = new TextEncoder().encode(JSON.stringify(list));
  const file = new Uint8Array(4 + json.length + memory.length);
  new DataView(file.buffer).setUint32(0, json.length, true);
  file.set(json, 4);
  file.set(memory, 4 + json.length);
  Deno.writeFileSync(path, file);
}

/** Distinct hashes of a kernel, and how many implementations made them. */
function hashesOf(name: KernelName, { list, memory: all }: Cases) {
  const builds: Build[] = supportsRelaxed() ? ["simd", "relaxed"] : ["simd"];
  const machines = builds.flatMap((build) => {
    const module = kernelModule(build, false);
    const memory = kernelMemory(PAGES, false);
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    return implementations(module, name).map((entry) => ({
      run: exports[entry] as KernelFunction,
      buffer: memory.buffer,
      hash: createHash("sha256"),
    }));
  });
  for (const c of list.filter((c) => c.name === name)) {
    for (const { run, buffer, hash } of machines) {
      const bytes = new Uint8Array(buffer, 0, c.bytes);
      bytes.set(all.subarray(c.at, c.at + c.bytes));
      run(...c.args);
      for (const [from, to] of c.ignored) bytes.fill(0, from, to);
      hash.update(bytes);
    }
  }
  const hashes = new Set(machines.map(({ hash }) => hash.digest("hex")));
  return { count: machines.length, hashes };
}

if (import.meta.main) {
  const { values, positionals: [path] } = parseArgs({
    allowPositionals: true,
    options: { kib: { type: "string", default: "192" } },
  });
  if (path === undefined) {
    console.error("usage: kernel_hashes.ts CASES [--kib 192]");
    Deno.exit(2);
  }
  let cases = read(path);
  if (!cases) write(path, cases = make(1024 * Number(values.kib)));
  for (const name of new Set(cases.list.map((c) => c.name))) {
    const { count, hashes } = hashesOf(name, cases);
    console.log(`${name}, ${count} implementations: ${[...hashes].join(" ")}`);
  }
}
