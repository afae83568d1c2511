/**
 * Facts about a checkpoint's weights without reading them: headers, the names in an
 * index, or nothing.
 * @module
 */
import { join } from "@std/path";
import { INDEX, openCheckpoint, readIndex } from "../format/checkpoint.ts";
import { FormatError, quoted } from "../format/error.ts";
import type { TensorFile } from "../format/safetensors.ts";
import { fileSource } from "../format/source.ts";

/** Known facts about the weights. */
export type SeenWeights =
  /** Names, dtypes and shapes from headers; if `readable`, the values can be read. */
  | {
    readonly from: "headers";
    readonly file: TensorFile;
    readonly readable: boolean;
  }
  /** Names. */
  | { readonly from: "index"; readonly names: readonly string[] }
  /** Nothing: shapes are those that config.json asks for. */
  | { readonly from: "config" };

/** Reads the headers or names of a folder's weights; throws `FormatError` if they cannot be read. */
export function weightsIn(folder: string): SeenWeights & Partial<Disposable> {
  const names = [...Deno.readDirSync(folder)].map((e) => e.name);
  const single = names.includes("model.safetensors");
  if (!single && !names.includes(INDEX)) {
    refusePickles(folder, names);
    return { from: "config" };
  }
  if (!single) {
    using source = fileSource(join(folder, INDEX));
    const index = readIndex(source);
    if ([...index.values()].some((shard) => !names.includes(shard))) {
      return { from: "index", names: [...index.keys()] };
    }
  }
  const file = openCheckpoint(folder);
  return {
    from: "headers",
    file,
    readable: true,
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/** Throws `FormatError` if the only weights are PyTorch pickle files, which can execute code. */
export function refusePickles(place: string, names: readonly string[]): void {
  if (names.some((name) => name.endsWith(".safetensors"))) return;
  const found = names.find((name) =>
    /^(pytorch_model|consolidated|model)[\w.-]*\.(bin|pth?)$/.test(name)
  );
  if (found === undefined) return;
  throw new FormatError(
    "not_found",
    place,
    `it holds ${
      quoted(found)
    } but no safetensors file; convert it once with safetensors.torch.save_file (Python), keeping the tensor names`,
  );
}
