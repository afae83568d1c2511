/**
 * Compares the quantization sites of a model file with float, with progress.
 * @module
 */
import { compareSites, type Twin } from "../convert/twin.ts";
import type { SiteRow } from "../evaluate/sites.ts";
import type { StaticModel } from "../graph/static_model.ts";
import type { Engine, Sample } from "../quantize/quantize.ts";
import type { Io } from "./io.ts";
import { progress } from "./progress.ts";

/** `compareSites` with a line of progress. */
export function sitesShown(
  file: StaticModel,
  twin: Twin,
  samples: readonly Sample[],
  engine: Engine,
  io: Io,
): SiteRow[] {
  const line = progress(io, "sites", samples.length);
  const report = (done: number) => line.at(done);
  const rows = compareSites(file, twin, samples, engine, report);
  line.end();
  return rows;
}
