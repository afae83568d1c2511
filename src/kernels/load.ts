/**
 * Loads compiled kernels: chooses a build, instantiates it over a memory, and
 * chooses an implementation of each kernel.
 * @module
 */
import { instantiateSync } from "@assemblyscript/loader";
import {
  KERNEL_NAMES,
  type KernelName,
  type Kernels,
} from "./signatures/mod.ts";
import { base64 as relaxed } from "./generated/relaxed.ts";
import { base64 as relaxedShared } from "./generated/relaxed_shared.ts";
import { base64 as simd } from "./generated/simd.ts";
import { base64 as simdShared } from "./generated/simd_shared.ts";

/**
 * Builds of the kernels by instruction set; "relaxed" includes "simd".
 *
 * ```ts
 * import { type Build, open } from "@mquant/mquant";
 *
 * for (const build of ["simd", "relaxed"] satisfies Build[]) {
 *   await using model = await open(
 *     "models/photo-mini/photo-mini.w4a8.safetensors",
 *     { build },
 *   );
 *   console.log((await model.caption("models/photo-mini/photos/cat.jpg")).text); // the same twice
 * }
 * ```
 */
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

/** The compiled module of a build, once per thread; it can be posted to workers. */
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

/**
 * A memory for the kernels: `pages` of 64 KiB, at most `most`. Set `most` where the
 * size is known: browsers on phones reserve all of it.
 */
export function kernelMemory(
  pages: number,
  shared: boolean,
  most = 65536,
): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: most, shared });
}

/** Options of `loadKernels`. */
export interface LoadOptions {
  /** From `kernelMemory`. */
  memory: WebAssembly.Memory;
  /** Whether that memory is shared; default: read from its buffer. */
  shared?: boolean;
  /** Default: `bestBuild()`. */
  build?: Build;
  /** A module received from another thread instead of compiling here. */
  module?: WebAssembly.Module;
  /** Implementations to use instead of the default, e.g. `gemm_w4a8: "simd_4x8"`. */
  prefer?: Partial<Record<KernelName, string>>;
}

/** (func (export "dot") (param i32 i32) (result i32) lane 0 of the 32-bit relaxed dot product of both as splatted bytes). */
const dotProbe = new Uint8Array([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127],
  ...[3, 2, 1, 0, 7, 7, 1, 3, 100, 111, 116, 0, 0, 10, 22, 1, 20, 0],
  ...[32, 0, 253, 15, 32, 1, 253, 15, 65, 0, 253, 17],
  ...[253, 147, 2, 253, 27, 0, 11],
]);

let wide: boolean | undefined;

/**
 * Whether a 32-bit dot product is one instruction here. The results for bytes
 * above 127, which depend on the machine, tell which instruction ran: AVX-VNNI
 * takes them as unsigned, ARM's sdot as signed, both exactly. What x86 does
 * without AVX-VNNI, in five instructions, saturates; what ARM does without sdot
 * (a Raspberry Pi 4) adds pairs in int16, where −128·−128 twice does not fit.
 * Unlike a measurement, the answer is the same on a busy machine.
 */
export function wideDots(): boolean {
  if (wide === undefined) {
    const { exports } = new WebAssembly.Instance(
      new WebAssembly.Module(dotProbe),
    );
    const dot = exports.dot as (a: number, w: number) => number;
    wide = [128, -128].some((top) =>
      // what 128 is as the second operand
      dot(127, -1) === 4 * 127 * (top > 0 ? 255 : -1) &&
      dot(-128, -128) === 4 * -128 * top
    );
  }
  return wide;
}

/**
 * Export names of all implementations of a kernel in a module, preferred
 * first: relaxed before simd, and among relaxed ones those that suit the
 * machine. All give the same bits, so the choice affects only speed.
 * `relaxed_dot8` implementations need a machine whose relaxed dot product is exact
 * for all int8 values, and are left out on others.
 */
export function implementations(
  module: WebAssembly.Module,
  name: string,
): string[] {
  return ranked(WebAssembly.Module.exports(module).map((e) => e.name), name);
}

/** Those of `exports` that implement `name`, preferred first. */
function ranked(exports: string[], name: string): string[] {
  const relaxed = exports.some((e) => e.includes("__relaxed"));
  const dots = relaxed && wideDots();
  const found = exports.filter((e) =>
    e.startsWith(`${name}__`) && (dots || !e.includes("__relaxed_dot8"))
  );
  const rank = (e: string) =>
    e.includes("__simd")
      ? 3
      : e.includes("__relaxed_dot8")
      ? 0
      : e.includes("__relaxed_dot") === dots
      ? 1
      : 2;
  return found.sort((a, b) => rank(a) - rank(b)); // stable: file order within a rank
}

/**
 * All kernels over one memory.
 * @throws {Error} where the module lacks an implementation of a kernel.
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
  const entry = (name: KernelName) => {
    const wanted = prefer[name];
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
  return Object.fromEntries(KERNEL_NAMES.map(entry)) as Kernels;
}
