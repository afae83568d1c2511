// Entry of the `relaxed` builds: everything of `simd`, and the kernels that use
// relaxed dot products.
export * from "./simd";
export * from "./gemm_i8";
export * from "./gemm_u7";
export * from "./gemv_i8";
export * from "./gemm_dot";
export * from "./gemv_dot";
export * from "./attention_dot";
export * from "./depthwise_dot";
