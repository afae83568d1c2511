// Entry of the `simd` builds: plain SIMD128 only (tools/build.ts checks it).
export * from "./gemm_f32";
export * from "./gemm_i16";
export * from "./gemv_i16";
