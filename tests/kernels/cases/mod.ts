/**
 * The test cases of every kernel.
 * @module
 */
import type { KernelName } from "../../../src/kernels/signatures/mod.ts";
import type { Case, CasesOf } from "../case.ts";
import * as attention from "./attention.ts";
import * as conv from "./conv.ts";
import * as matmul from "./matmul.ts";
import * as quantize from "./quantize.ts";
import * as rows from "./rows.ts";

/** Cases by kernel; the barrier has none: it waits for others. */
const all: { readonly [K in KernelName]: CasesOf<K> } = {
  gemm_w4a8: matmul.gemm(4),
  gemm_w8a8: matmul.gemm(8),
  gemm_w8a7: matmul.gemm(8, 0),
  gemm_w4ga8: matmul.groupedGemm,
  gemm_w4a8_s8: matmul.gemmToLevels(4),
  gemm_w8a8_s8: matmul.gemmToLevels(8),
  gemv_w4a8: matmul.gemv(4),
  gemv_w8a8: matmul.gemv(8),
  gemv_w4ga8: matmul.groupedGemv,
  gemm_f32: matmul.gemmF32,
  rank1_f32: matmul.rank1,
  quantize_f32_s8: quantize.quantize,
  rmsnorm_f32_s8: quantize.rmsnormS8,
  rmsnorm_f32: quantize.rmsnorm,
  hadamard_f32: quantize.hadamard,
  hadamard_f32_s8: quantize.hadamardS8,
  activation_f32: quantize.activation,
  activation_f32_s8: quantize.activationS8,
  activation_hadamard_f32_s8: quantize.activationHadamardS8,
  queries_f32_s8: attention.queries,
  keys_f32_s8: attention.keys,
  values_f32_s8: attention.values,
  attention_s8: attention.attention,
  add_f32: rows.rows,
  copy_f32: rows.rows,
  scale_f32: rows.scale,
  embedding_f32: rows.embedding,
  pixel_shuffle_f32: rows.pixelShuffle,
  patchify_u8_s8: rows.patchify,
  conv_state_f32: rows.convState,
  causal_conv1d_f32: rows.causalConv1d,
  depthwise_w8a8: conv.depthwise,
  depthwise_w8a8_s8: conv.depthwiseS8,
  pack_w4: rows.pack(4),
  pack_w8: rows.pack(8),
  barrier: [],
};

/** Cases of a kernel. */
export const casesOf = (name: KernelName): readonly Case[] =>
  all[name] as unknown as readonly Case[];
