/**
 * All kernels by name: the one list from which types, tests, benches and the
 * loader are derived. `Kernels` is what a loaded build offers;
 * `referenceKernels(buffer)` is the same object in plain TypeScript.
 * @module
 */
import {
  activate_f32,
  activate_f32_s8,
  activate_hadamard_f32_s8,
} from "./activate.ts";
import { attend_s8 } from "./attend.ts";
import { barrier } from "./barrier.ts";
import { convolve_f32, place_f32 } from "./convolve.ts";
import { gemms, gemvs } from "./gemm.ts";
import { gemm_f32 } from "./gemm_f32.ts";
import { gemm_w4ga8, gemv_w4ga8 } from "./gemm_groups.ts";
import { hadamard_f32, hadamard_f32_s8 } from "./hadamard.ts";
import { quantize_f32_s8, rmsnorm_f32, rmsnorm_f32_s8 } from "./quantize.ts";
import { keys_f32_s8, queries_f32_s8, values_f32_s8 } from "./heads.ts";
import {
  add_f32,
  copy_f32,
  embed_f32,
  gain_f32,
  packers,
  patchify_u8_s8,
  pixel_shuffle_f32,
  rank1_f32,
} from "./rows.ts";
import { viewsOf } from "./views.ts";

/** Every contract under its name. */
export const contracts = {
  ...gemms,
  ...gemvs,
  gemm_w4ga8,
  gemv_w4ga8,
  gemm_f32,
  quantize_f32_s8,
  rmsnorm_f32_s8,
  rmsnorm_f32,
  hadamard_f32,
  hadamard_f32_s8,
  activate_f32,
  activate_f32_s8,
  activate_hadamard_f32_s8,
  queries_f32_s8,
  keys_f32_s8,
  values_f32_s8,
  attend_s8,
  place_f32,
  convolve_f32,
  add_f32,
  copy_f32,
  gain_f32,
  rank1_f32,
  embed_f32,
  pixel_shuffle_f32,
  patchify_u8_s8,
  ...packers,
  barrier,
};

/** Name of a contract. */
export type KernelName = keyof typeof contracts;

/** One typed function per contract, over one memory. */
export type Kernels = {
  readonly [K in KernelName]: ReturnType<(typeof contracts)[K]["reference"]>;
};

/** All references over one buffer: slow, obvious, bit for bit what the kernels do. */
export function referenceKernels(buffer: ArrayBufferLike): Kernels {
  const views = viewsOf(buffer);
  return Object.fromEntries(
    Object.entries(contracts).map((
      [name, c],
    ) => [name, c.reference(views)]),
  ) as unknown as Kernels;
}
