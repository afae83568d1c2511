export * from "./gemm_f32";
