/**
 * `bundle CHECKPOINT`: quantizes a checkpoint into models/photo-mini/, where
 * `caption` finds it.
 * @module
 */
import { fromFileUrl, join } from "@std/path";
import { command } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";
import { BUNDLE } from "./model_path.ts";
import { quantizeShown } from "./quantize.ts";
import { QUANTIZE_OPTIONS, RECIPE_NOTES } from "./quantize_options.ts";
import { isFolder } from "../format/stat.ts";

export default command({
  name: "bundle",
  summary: "quantize a checkpoint into models/photo-mini, the bundled model",
  operands: "CHECKPOINT",
  arity: [1, 1],
  options: {
    calibration: {
      type: "string",
      value: "DIR",
      help:
        "folder of calibration photos; default: data/flickr8k/calibration beside the checkpoint's models/",
    },
    ...QUANTIZE_OPTIONS,
  },
  notes: RECIPE_NOTES,
  permissions: "--allow-read --allow-write=models",
  interrupt: "kill",
  async run([checkpoint], values, io) {
    const out = join(
      fromFileUrl(BUNDLE),
      `photo-mini.${values.recipe}.safetensors`,
    );
    const calibration = values.calibration ?? besideModels(checkpoint);
    await quantizeShown(checkpoint, calibration, out, values, io);
    return EXIT.ok;
  },
});

/**
 * The calibration folder data/flickr8k/calibration next to the checkpoint's
 * models/.
 */
function besideModels(checkpoint: string): string {
  const folder = join(checkpoint, "../../data/flickr8k/calibration");
  if (isFolder(folder)) return folder;
  throw new UsageError(
    `Cannot bundle ${
      JSON.stringify(checkpoint)
    }: there are no calibration photos in ${folder}; name a folder with --calibration DIR`,
  );
}
