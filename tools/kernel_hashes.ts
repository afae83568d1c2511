/**
 * Prints a SHA-256 for each kernel: of all bytes that its cases leave in memory,
 * scratch aside. Every implementation of every build runs; one hash a line means
 * that all agree, equal lines on two machines that the machines do.
 *
 *     deno run --allow-read tools/kernel_hashes.ts [--only NAME_PART] [--most BYTES]
 *
 * `--most` leaves out the cases that take more memory: emulated, the real shapes
 * of the products take minutes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { NoiseArena } from "../src/kernels/arena.ts";
import type { KernelFunction } from "../src/kernels/contract.ts";
import { contracts, type KernelName } from "../src/kernels/contracts.ts";
import {
  type Build,
  implementations,
  kernelMemory,
  kernelModule,
  supportsRelaxed,
} from "../src/kernels/load.ts";

/** Most memory a case takes, in wasm pages. */
const PAGES = 96;

/** Distinct hashes of a kernel, and how many implementations made them. */
function hashesOf(
  name: KernelName,
  most: number,
): { count: number; hashes: Set<string> } {
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
  const fresh = new ArrayBuffer(PAGES * 65536);
  for (const c of contracts[name].cases) {
    const arena = new NoiseArena(fresh), args = c.build(arena);
    if (arena.top > most) continue;
    for (const { run, buffer, hash } of machines) {
      const bytes = new Uint8Array(buffer, 0, arena.top);
      bytes.set(new Uint8Array(fresh, 0, arena.top));
      run(...args);
      for (const [from, to] of arena.ignored) bytes.fill(0, from, to);
      hash.update(bytes);
    }
  }
  const hashes = new Set(machines.map(({ hash }) => hash.digest("hex")));
  return { count: machines.length, hashes };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "" },
      most: { type: "string", default: "Infinity" },
    },
  });
  for (const name of Object.keys(contracts) as KernelName[]) {
    if (!name.includes(values.only) || contracts[name].cases.length === 0) {
      continue;
    }
    const { count, hashes } = hashesOf(name, Number(values.most));
    console.log(`${name}, ${count} implementations: ${[...hashes].join(" ")}`);
  }
}
