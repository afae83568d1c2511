/**
 * All kernels by name: the one list from which the loader, plans, tests, benches
 * and docs/kernels.md are made.
 * @module
 */
import {
  type Call,
  type KernelFunction,
  type Operands,
  positional,
  type Signature,
} from "../signature.ts";
import * as attention from "./attention.ts";
import * as conv from "./conv.ts";
import * as load from "./load.ts";
import * as matmul from "./matmul.ts";
import * as quantize from "./quantize.ts";
import * as rows from "./rows.ts";

/** All signatures by kernel name. */
export const signatures = {
  gemm_w4a8: matmul.gemm_w4a8,
  gemm_w8a8: matmul.gemm_w8a8,
  gemm_w8a7: matmul.gemm_w8a7,
  gemm_w4ga8: matmul.gemm_w4ga8,
  gemm_w4a8_s8: matmul.gemm_w4a8_s8,
  gemm_w8a8_s8: matmul.gemm_w8a8_s8,
  gemv_w4a8: matmul.gemv_w4a8,
  gemv_w8a8: matmul.gemv_w8a8,
  gemv_w4ga8: matmul.gemv_w4ga8,
  gemm_f32: matmul.gemm_f32,
  rank1_f32: matmul.rank1_f32,
  quantize_f32_s8: quantize.quantize_f32_s8,
  rmsnorm_f32_s8: quantize.rmsnorm_f32_s8,
  rmsnorm_f32: quantize.rmsnorm_f32,
  hadamard_f32: quantize.hadamard_f32,
  hadamard_f32_s8: quantize.hadamard_f32_s8,
  activation_f32: quantize.activation_f32,
  activation_f32_s8: quantize.activation_f32_s8,
  activation_hadamard_f32_s8: quantize.activation_hadamard_f32_s8,
  queries_f32_s8: attention.queries_f32_s8,
  keys_f32_s8: attention.keys_f32_s8,
  values_f32_s8: attention.values_f32_s8,
  attention_s8: attention.attention_s8,
  add_f32: rows.add_f32,
  copy_f32: rows.copy_f32,
  scale_f32: rows.scale_f32,
  embedding_f32: rows.embedding_f32,
  pixel_shuffle_f32: rows.pixel_shuffle_f32,
  patchify_u8_s8: rows.patchify_u8_s8,
  conv_state_f32: rows.conv_state_f32,
  causal_conv1d_f32: rows.causal_conv1d_f32,
  depthwise_w8a8: conv.depthwise_w8a8,
  depthwise_w8a8_s8: conv.depthwise_w8a8_s8,
  pack_w4: load.pack_w4,
  pack_w8: load.pack_w8,
  barrier: load.barrier,
};

/** Name of a kernel. */
export type KernelName = keyof typeof signatures;

/** Operands of a kernel. */
export type OperandsOf<K extends KernelName> =
  (typeof signatures)[K]["operands"];

/** A loaded build: one function per kernel, over one memory. */
export type Kernels = Readonly<Record<KernelName, KernelFunction>>;

/** Names of all kernels. */
export const KERNEL_NAMES = Object.keys(signatures) as KernelName[];

/** Runs one kernel, its operands by name. */
export function run<O extends Operands>(
  kernels: Kernels,
  kernel: Signature<O>,
  call: Call<O>,
): void {
  kernels[kernel.name as KernelName](...positional(kernel, call));
}
