// Entry of the `simd` builds: plain SIMD128 only (tools/build.ts checks it).
export * from "./causal_conv1d";
export * from "./depthwise";
export * from "./gemm_f32";
export * from "./gemm_i16";
export * from "./gemv_i16";
export * from "./quantize";
export * from "./hadamard";
export * from "./activation";
export * from "./rows";
export * from "./barrier";
export * from "./pack";
export * from "./kv_cache";
export * from "./attention";
