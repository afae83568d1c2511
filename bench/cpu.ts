/**
 * The classes of CPU that speeds are reported by. They differ in how fast an
 * 8-bit dot product of WebAssembly's relaxed SIMD is: one instruction with
 * AVX-VNNI or arm64's `sdot`, several elsewhere.
 * @module
 */

/** Classes of CPU, fastest instruction sets first. */
export const CPU_CLASSES = [
  "AVX-VNNI",
  "AVX-512 without AVX-VNNI",
  "AVX2",
  "arm64 with dot product",
  "arm64 without dot product",
  "unknown",
] as const;

/** One of them. */
export type CpuClass = (typeof CPU_CLASSES)[number];

/**
 * Class of the CPU that /proc/cpuinfo describes.
 * @param cpuinfo its text
 */
export function cpuClassOf(cpuinfo: string): CpuClass {
  const line = cpuinfo.match(/^(?:flags|Features)\s*:(.*)$/m)?.[1] ?? "";
  const has = new Set(line.trim().split(/\s+/));
  if (has.has("avx_vnni")) return "AVX-VNNI";
  if (has.has("avx512f")) return "AVX-512 without AVX-VNNI";
  if (has.has("avx2")) return "AVX2";
  if (has.has("asimddp")) return "arm64 with dot product";
  if (has.has("asimd")) return "arm64 without dot product";
  return "unknown";
}

/** Class and name of this machine's CPU; "unknown" where there is no /proc/cpuinfo. */
export function thisCpu(): { readonly cpu: CpuClass; readonly name: string } {
  try {
    const text = Deno.readTextFileSync("/proc/cpuinfo");
    const name = text.match(/^model name\s*:\s*(.*)$/m)?.[1] ?? "";
    return { cpu: cpuClassOf(text), name };
  } catch {
    return { cpu: "unknown", name: "" };
  }
}
