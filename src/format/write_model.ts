/**
 * Writing a model file (`model_file.ts` reads it).
 * @module
 */
import { ASSET, MODEL_FORMAT } from "./model_file.ts";
import { writeSafetensors } from "./write.ts";
import type { TensorToWrite } from "./write.ts";

/** Content of a model file. */
export interface ModelContent {
  /**
   * Metadata in addition to `format`: architecture, config, recipe,
   * calibration, source …
   */
  readonly metadata: Readonly<Record<string, string>>;
  /** Weights and scales, in order of execution. */
  readonly tensors: readonly TensorToWrite[];
  /** Files the model needs, by name. */
  readonly assets: Readonly<Record<string, Uint8Array>>;
}

/**
 * Writes a model file with checksums, atomically and deterministically.
 * @param check checks the finished file before it is renamed
 */
export function writeModelFile(
  path: string,
  content: ModelContent,
  check?: (path: string) => void,
): void {
  const assets = Object.entries(content.assets).map(([name, bytes]) => ({
    name: ASSET + name,
    dtype: "U8" as const,
    shape: [bytes.length],
    data: () => bytes,
  }));
  writeSafetensors(path, {
    metadata: { format: MODEL_FORMAT, ...content.metadata },
    tensors: [...content.tensors, ...assets],
    sha256: true,
    ...(check ? { check } : {}),
  });
}
