/**
 * What is known of a checkpoint's weights without reading them: headers, the
 * names in an index, or nothing.
 * @module
 */
import { join } from "@std/path";
import { INDEX, openCheckpoint, readIndex } from "../format/checkpoint.ts";
import { FormatError, quoted } from "../format/error.ts";
import type { TensorFile } from "../format/safetensors.ts";
import { fileSource } from "../format/source.ts";

/** Weights, as far as they were looked at. */
export type SeenWeights =
  /** Names, types and shapes; where `readable`, values as well. */
  | {
    readonly from: "headers";
    readonly file: TensorFile;
    readonly readable: boolean;
  }
  /** Names. */
  | { readonly from: "index"; readonly names: readonly string[] }
  /** Nothing: shapes are those that config.json asks for. */
  | { readonly from: "config" };

/** What a folder shows of its weights; throws `FormatError` where no one could read them. */
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

/** Throws `FormatError` where weights are in PyTorch's own format alone: such files are programs. */
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
