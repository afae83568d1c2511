/**
 * Paths of models: the bundled one, or a given one.
 * @module
 */
import { fromFileUrl } from "@std/path";

/** Folder of the bundled model. */
export const BUNDLE: URL = new URL(
  "../../models/photo-mini/",
  import.meta.url,
);

/** The option `--model`. */
export const MODEL_OPTION = {
  type: "string",
  value: "FILE",
  help: "model file; default: the bundled one in models/photo-mini",
} as const;

/** The option `--max-memory`. */
export const MEMORY_OPTION = {
  type: "number",
  value: "MB",
  help: "refuse a model that needs more memory, before loading it",
  min: 1,
  max: 1_000_000,
} as const;

/** `--max-memory` as an option of `open`. */
export function memoryOption(
  values: { readonly "max-memory": number | undefined },
): { maxMemory?: number } {
  const most = values["max-memory"];
  return most === undefined ? {} : { maxMemory: most * 1e6 };
}

/** `given`, or the path of the bundled model. */
export function modelPath(given: string | undefined): string {
  if (given !== undefined) return given;
  if (BUNDLE.protocol === "file:") {
    const files = [...Deno.readDirSync(BUNDLE)].map((e) => e.name)
      .filter((name) => name.endsWith(".safetensors")).sort();
    if (files.length > 0) return fromFileUrl(new URL(files[0], BUNDLE));
  }
  throw new Error(
    "Cannot find the bundled model: there is no .safetensors file in models/photo-mini; run `deno task bundle CHECKPOINT`, or name a model with --model FILE",
  );
}

/** The checkpoint of the bundled model, if the repository contains it. */
export function bundledCheckpoint(): string | undefined {
  const folder = new URL("../checkpoints/photo-mini/", BUNDLE);
  if (folder.protocol !== "file:") return undefined;
  try {
    return Deno.statSync(folder).isDirectory ? fromFileUrl(folder) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
