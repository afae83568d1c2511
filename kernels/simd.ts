// Entry of the `simd` builds: plain SIMD128 only (tools/build.ts checks it).
export * from "./convolve";
export * from "./gemm_f32";
export * from "./gemm_i16";
export * from "./gemv_i16";
export * from "./quantize";
export * from "./hadamard";
export * from "./activate";
export * from "./rows";
export * from "./barrier";
export * from "./pack";
export * from "./heads";
export * from "./attend";
