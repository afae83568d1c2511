/**
 * `check`: whether a checkpoint can be quantized and what that takes, before it
 * is downloaded or its weights are read.
 * @module
 */
import { check } from "../convert/check.ts";
import type { CheckResult } from "../convert/check_result.ts";
import { QUANTIZE_DEFAULTS } from "../convert/options.ts";
import { statOf } from "../format/stat.ts";
import { command } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";
import { printable } from "./io.ts";
import { duration } from "./progress.ts";
import { bytes, table } from "./table.ts";
import { HUB_OPTIONS, isRepository } from "./hub_options.ts";

export default command({
  name: "check",
  summary:
    "check whether a checkpoint can be quantized, before downloading its weights",
  operands: "OWNER/NAME|DIR|config.json",
  arity: [1, 1],
  options: {
    threads: {
      type: "integer",
      help: "number of threads to plan for",
      min: 1,
      max: 64,
    },
    ...HUB_OPTIONS,
    json: { type: "boolean", help: "print one JSON object" },
  },
  notes: `Examples:
  mquant check HuggingFaceTB/SmolVLM2-500M-Video-Instruct
  mquant check models/SmolVLM2-500M-Video-Instruct
  mquant check config.json

Only side files and headers are read: for OWNER/NAME, a few megabytes are downloaded to memory. A
folder may lack its weights. The time is a rough estimate for \`quantize\` with its defaults, from
a short measurement: other running programs make it longer. Exit code 0: supported; 1: not
supported or incomplete, with the reason; 2: wrong usage.`,
  permissions: "--allow-read; --allow-net for OWNER/NAME",
  async run([place], values, io) {
    const { threads } = values;
    const options = threads === undefined ? {} : { threads };
    const local = statOf(place) !== undefined;
    if (!local && !isRepository(place)) {
      throw new UsageError(
        `Cannot check ${
          JSON.stringify(place)
        }: there is no such file or folder, and it is no OWNER/NAME; check the path`,
      );
    }
    const result = local
      ? await check(place, options)
      : await (await import("./hub_check.ts"))
        .checkOnHub(place, values, options, io.signal);
    io.out(
      values.json ? `${JSON.stringify(result)}\n` : checkText(place, result),
    );
    if (result.reason === undefined) return EXIT.ok;
    io.err(printable(result.reason));
    return EXIT.failure;
  },
});

const WEIGHTS: Record<CheckResult["weights"], string> = {
  headers: "names and shapes from the headers of the weights",
  index: "names from the index, shapes from config.json",
  config: "names and shapes from config.json alone",
};

/** The result of a check as text, one line per fact; unknown facts are left out. */
export function checkText(place: string, found: CheckResult): string {
  const { family, parameters, pictures, memory, context, seconds } = found;
  const rows: [string, string][] = [];
  const row = (name: string, value: string | 0 | undefined) => {
    if (value) rows.push([name, value]);
  };
  row("supported", found.reason === undefined ? "yes" : "no");
  row("family", family && printable(family));
  row("weights", family && WEIGHTS[found.weights]);
  row("quantized", found.quantized);
  row("parameters", parameters && `${(parameters / 1e6).toFixed(1)} million`);
  row("pictures", pictures === undefined ? "" : pictures ? "yes" : "no");
  row("missing", found.missing.map(printable).join(", "));
  row("file size", found.fileBytes && bytes(found.fileBytes));
  row(
    "memory",
    memory && `${bytes(memory.total)} with a context of ${context} tokens`,
  );
  row(
    "time",
    seconds &&
      `about ${
        duration(seconds)
      } to quantize with ${QUANTIZE_DEFAULTS.samples} photos`,
  );
  return `${printable(place)}\n${table(rows)}`;
}
