/**
 * The text of `--version`.
 * @module
 */
import { VERSION } from "../platform/version.ts";

/**
 * Version and hash of the kernels; together with the model file they determine
 * all results.
 */
export async function versionText(): Promise<string> {
  const [simd, relaxed] = await Promise.all([
    import("../kernels/generated/simd.ts"),
    import("../kernels/generated/relaxed.ts"),
  ]);
  return `mquant ${VERSION}
kernels simd ${simd.sha256.slice(0, 16)}, relaxed ${relaxed.sha256.slice(0, 16)}
deno ${Deno.version.deno}, v8 ${Deno.version.v8}, ${Deno.build.target}
`;
}
