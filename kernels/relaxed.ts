export * from "./simd";
