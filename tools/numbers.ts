/**
 * The table of numbers in README.md, from reports: docs/reports/bundled.json (quality
 * of the bundled model) and docs/reports/peers.json (speed compared with other
 * engines). `deno task docs` writes it.
 * @module
 */
import { classesOf, ratios, type Row } from "../bench/report.ts";
import { markdown } from "./models.ts";

const root = new URL("../", import.meta.url);

/** What docs/reports/bundled.json holds. */
export interface BundledReport {
  /** The model file, from the root of the repository. */
  readonly file: string;
  readonly photos: number;
  /** What the photos are. */
  readonly data: string;
  readonly date: string;
  readonly ciderD: { readonly float: number; readonly quantized: number };
  readonly bleu4: { readonly float: number; readonly quantized: number };
  readonly peakMegabytes: number;
  readonly secondsPerCaption: readonly {
    readonly cpu: string;
    readonly name: string;
    readonly threads: number;
    readonly seconds: number;
    readonly date: string;
  }[];
  /** Perplexity of a pretrained decoder over that of its float weights. */
  readonly perplexity: {
    readonly model: string;
    readonly perChannel: number;
    readonly mixed: number;
    readonly date: string;
  };
}

/** The report. */
export function readBundled(): BundledReport {
  return JSON.parse(
    Deno.readTextFileSync(new URL("docs/reports/bundled.json", root)),
  );
}

/** Megabytes (10⁶ bytes) of a file of the repository, one decimal. */
export function megabytes(path: string): string {
  return (Deno.statSync(new URL(path, root)).size / 1e6).toFixed(1);
}

/** The table. */
export function numbersTable(report: BundledReport, peers: readonly Row[]) {
  const { ciderD, file, photos, data, perplexity } = report;
  const speed = classesOf(peers).flatMap((cpu) => {
    const rows = peers.filter((r) => r.cpu === cpu);
    const day = rows.map((r) => r.at.slice(0, 10)).sort().at(-1);
    return [
      [`prompts, speed ÷ llama.cpp (Q4_0, native), ${cpu}`, ratios(rows, "pp")],
      [`answers, speed ÷ llama.cpp (Q4_0, native), ${cpu}`, ratios(rows, "tg")],
    ].map(([what, value]) => [`${what}, ${day}`, value]);
  });
  return markdown([
    ["what", "value"],
    [
      `CIDEr-D of the bundled model, ${photos} ${data}`,
      `${ciderD.quantized.toFixed(3)} (float: ${ciderD.float.toFixed(3)})`,
    ],
    ["its file", `${megabytes(file)} MB`],
    [
      "peak memory of the process while captioning",
      `${report.peakMegabytes} MB`,
    ],
    ...report.secondsPerCaption.map((s) => [
      `one caption, model loaded, ${s.threads} thread of ${s.name}, ${s.date}`,
      `${s.seconds.toFixed(2)} s`,
    ]),
    [
      `perplexity of ${perplexity.model} ÷ float, 4 bits per channel`,
      perplexity.perChannel.toFixed(3),
    ],
    [
      "the same with a quarter of the weights in 8 bits",
      perplexity.mixed.toFixed(3),
    ],
    ...speed,
  ]);
}
