/**
 * Whether a model file will open, asked before it gets its name: what `open`
 * would refuse in months to come is refused by whoever makes the file.
 * @module
 */
import { planFor } from "../execute/options.ts";
import { type ModelFile, openModelFile } from "../format/model_file.ts";
import { fileSource } from "../format/source.ts";
import { readStaticModel } from "../graph/static_model.ts";
import { readAssets } from "../session/assets.ts";

/**
 * Does what `open` does, but for the memory and the weights' codes: checks graph,
 * tensors and assets, plans, computes every constant.
 * @throws the error that `open` would throw
 */
export function checkOpens(file: ModelFile): void {
  const model = readStaticModel(file), assets = readAssets(file, model.info);
  const { persistent } = planFor(model, assets.image, { threads: 1 });
  for (const { fill } of persistent) fill?.();
}

/** The same for the file at `path`. */
export function checkFileOpens(path: string): void {
  using file = openModelFile(fileSource(path));
  checkOpens(file);
}
