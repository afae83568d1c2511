/**
 * Checks that a new model file can be opened, before it gets its name.
 * @module
 */
import { planFor } from "../execute/options.ts";
import { type ModelFile, openModelFile } from "../format/model_file.ts";
import { fileSource } from "../format/source.ts";
import { readStaticModel } from "../graph/static_model.ts";
import { readAssets } from "../session/assets.ts";

/**
 * Does what `open` does without allocating memory and reading weight values:
 * checks graph, tensors and assets, plans, and computes every constant.
 * @throws the error that `open` would throw
 */
export function checkOpens(file: ModelFile): void {
  const model = readStaticModel(file), assets = readAssets(file, model.info);
  const { persistent } = planFor(model, assets.image, { threads: 1 });
  for (const { fill } of persistent) fill?.();
}

/** `checkOpens` for the file at `path`. */
export function checkFileOpens(path: string): void {
  using file = openModelFile(fileSource(path));
  checkOpens(file);
}
