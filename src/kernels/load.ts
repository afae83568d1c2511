/**
 * Compiled kernels over a memory: which build, which instance, which export
 * for each contract.
 * @module
 */
import { instantiateSync } from "@assemblyscript/loader";
import { onArm } from "../platform/platform.ts";
import { contracts, type KernelName, type Kernels } from "./contracts.ts";
import { base64 as relaxed } from "./generated/relaxed.ts";
import { base64 as relaxedShared } from "./generated/relaxed_shared.ts";
import { base64 as simd } from "./generated/simd.ts";
import { base64 as simdShared } from "./generated/simd_shared.ts";

/** Instruction sets there are builds for; "relaxed" holds all of "simd" too. */
export type Build = "simd" | "relaxed";

const images = {
  simd: { unshared: simd, shared: simdShared },
  relaxed: { unshared: relaxed, shared: relaxedShared },
};

const modules = new Map<string, WebAssembly.Module>();

/** (func (result v128) (i16x8.relaxed_dot_i8x16_i7x16_s (v128 0) (v128 0))), dropped. */
const relaxedProbe = new Uint8Array([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0],
  ...[10, 16, 1, 14, 0, 65, 0, 253, 15, 65, 0, 253, 15, 253, 146, 2, 26, 11],
]);

/** Whether this engine has relaxed SIMD. */
export function supportsRelaxed(): boolean {
  return WebAssembly.validate(relaxedProbe);
}

/** The best build this engine can run. */
export function bestBuild(): Build {
  return supportsRelaxed() ? "relaxed" : "simd";
}

/** The compiled module of a build, once per thread; it may be posted to workers. */
export function kernelModule(
  build: Build,
  shared: boolean,
): WebAssembly.Module {
  const key = `${build} ${shared}`;
  let module = modules.get(key);
  if (!module) {
    const image = images[build][shared ? "shared" : "unshared"];
    const bytes = Uint8Array.fromBase64(image) as Uint8Array<ArrayBuffer>;
    module = new WebAssembly.Module(bytes);
    modules.set(key, module);
  }
  return module;
}

/** A memory the kernels accept: `pages` of 64 KiB now, up to 4 GiB. */
export function kernelMemory(
  pages: number,
  shared: boolean,
): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: 65536, shared });
}

/** What `loadKernels` needs to know. */
export interface LoadOptions {
  /** Made by `kernelMemory`: maximum 65536 pages. */
  memory: WebAssembly.Memory;
  /** Whether that memory is shared. Default: found out from its buffer. */
  shared?: boolean;
  /** Default: `bestBuild()`. */
  build?: Build;
  /** A module received from another thread instead of compiling here. */
  module?: WebAssembly.Module;
  /** Implementations wanted instead of the default, e.g. `gemm_w4a8: "simd_4x8"`. */
  prefer?: Partial<Record<KernelName, string>>;
}

/** Whether 32-bit dot products are one instruction here: ARM has sdot; V8 on x86 takes five. */
const wideDots = onArm;

/**
 * Export names of all implementations of a contract in a module, preferred
 * first: relaxed before simd, and among relaxed ones those that suit the
 * machine. All give the same bits, so the choice is one of speed only.
 */
export function implementations(
  module: WebAssembly.Module,
  name: string,
): string[] {
  return ranked(WebAssembly.Module.exports(module).map((e) => e.name), name);
}

/** Those of `exports` that implement `name`, preferred first. */
function ranked(exports: string[], name: string): string[] {
  const found = exports.filter((e) => e.startsWith(`${name}__`));
  const rank = (e: string) =>
    e.includes("__simd") ? 2 : e.includes("__relaxed_dot") === wideDots ? 0 : 1;
  return found.sort((a, b) => rank(a) - rank(b)); // stable: file order within a rank
}

/**
 * All kernels over one memory.
 * @throws {Error} where the module lacks an implementation of a contract.
 */
export function loadKernels(options: LoadOptions): Kernels {
  const { memory, prefer = {} } = options;
  const shared = options.shared ??
    !(memory.buffer instanceof ArrayBuffer);
  const module = options.module ??
    kernelModule(options.build ?? bestBuild(), shared);
  const { exports } = instantiateSync(module, { env: { memory } });
  const functions = exports as unknown as Record<string, unknown>;
  const names = Object.keys(functions);
  const entry = (name: string) => {
    const wanted = prefer[name as KernelName];
    const all = ranked(names, name);
    const chosen = wanted ? `${name}__${wanted}` : all[0];
    if (!chosen || !all.includes(chosen)) {
      throw new Error(
        `Cannot load kernel ${name}: there is ${
          all.join(", ") || "no implementation"
        }${wanted ? `, not ${chosen}` : ""}; run deno task build`,
      );
    }
    return [name, functions[chosen]];
  };
  return Object.fromEntries(
    Object.keys(contracts).map(entry),
  ) as unknown as Kernels;
}
