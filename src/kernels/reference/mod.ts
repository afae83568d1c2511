/**
 * Reference implementation of each kernel in plain TypeScript: slow, obvious, and bit for bit
 * what the kernels compute. Tests compare every kernel with its reference.
 * @module
 */
import {
  type KernelFunction,
  named,
  type Operands,
  type Signature,
} from "../signature.ts";
import {
  type KernelName,
  type Kernels,
  signatures,
} from "../signatures/mod.ts";
import * as attention from "./attention.ts";
import * as conv from "./conv.ts";
import * as load from "./load.ts";
import * as matmul from "./matmul.ts";
import * as quantize from "./quantize.ts";
import * as rows from "./rows.ts";
import { type Reference, viewsOf } from "./views.ts";

/** The reference of every kernel. */
export const references: {
  readonly [K in KernelName]: Reference<(typeof signatures)[K]>;
} = {
  gemm_w4a8: matmul.gemm(4),
  gemm_w8a8: matmul.gemm(8),
  gemm_w8a7: matmul.gemm(8),
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
  add_f32: rows.add,
  copy_f32: rows.copy,
  scale_f32: rows.scale,
  embedding_f32: rows.embedding,
  pixel_shuffle_f32: rows.pixelShuffle,
  patchify_u8_s8: rows.patchify,
  conv_state_f32: rows.convState,
  causal_conv1d_f32: rows.causalConv1d,
  depthwise_w8a8: conv.depthwise,
  depthwise_w8a8_s8: conv.depthwiseS8,
  pack_w4: load.pack(4),
  pack_w8: load.pack(8),
  barrier: load.barrier,
};

/** All references over one buffer, called like the compiled kernels. */
export function referenceKernels(buffer: ArrayBufferLike): Kernels {
  const views = viewsOf(buffer);
  const entries = Object.entries(signatures).map(
    ([name, signature]): [string, KernelFunction] => {
      const run = references[name as KernelName](views) as (
        call: unknown,
      ) => void;
      const s = signature as Signature<Operands>;
      return [name, (...parameters) => run(named(s, parameters))];
    },
  );
  return Object.fromEntries(entries) as Kernels;
}
