/**
 * `report MODEL`: writes an HTML report on a model file.
 * @module
 */
import { addSpread, spread } from "../evaluate/report/spread.ts";
import {
  type BeforeAfter,
  type Report,
  reportPage,
  type ScalePair,
  type Step,
} from "../evaluate/report/page.ts";
import { writeAll, writeAtomically } from "../format/atomic_write.ts";
import { openModelFile } from "../format/model_file.ts";
import { fileSource } from "../format/source.ts";
import { watchSites } from "../evaluate/sites.ts";
import { load } from "../graph/run.ts";
import { siteScale } from "../graph/names.ts";
import type { Hooks } from "../graph/ops/mod.ts";
import { channelsIn, type Model } from "../graph/node.ts";
import { startFloat32Engine } from "../float/engine.ts";
import type { Engine, Sample } from "../quantize/quantize.ts";
import { readStaticModel, type StaticModel } from "../graph/static_model.ts";
import {
  DEFAULT_PROMPT,
  type FloatCheckpoint,
  openFloatCheckpoint,
} from "../convert/checkpoint.ts";
import { samplesOf, twinOf } from "../convert/twin.ts";
import { photosIn } from "../convert/calibration.ts";
import { command } from "./command.ts";
import { EXIT } from "./errors.ts";
import type { Result } from "./eval_text.ts";
import { type Io, quiet } from "./io.ts";
import { bundledCheckpoint, modelPath } from "./model_path.ts";
import { progress } from "./progress.ts";
import { sitesShown } from "./sites.ts";
import { THREADS_OPTION } from "./quantize_options.ts";
import { bytes } from "./table.ts";

/** Maximum tokens of the answers on which sites are compared. */
const ANSWER_TOKENS = 24;

export default command({
  name: "report",
  summary:
    "write an HTML report on a model file: errors, scales, distributions",
  operands: "[MODEL]",
  arity: [0, 1],
  options: {
    out: {
      type: "string",
      value: "FILE",
      help: "file to write",
      default: "report.html",
    },
    checkpoint: {
      type: "string",
      value: "DIR",
      help:
        "float checkpoint of the model; default: none, or that of the bundled model",
    },
    photos: {
      type: "string",
      value: "DIR",
      help: "photos to run the model on; not the calibration photos",
    },
    samples: {
      type: "integer",
      help: "number of photos, the first by name",
      min: 1,
      max: 64,
      default: 4,
    },
    eval: {
      type: "string",
      value: "FILE",
      help: "output of eval --json, for the quality table",
    },
    ablation: {
      type: "string",
      value: "FILE",
      help: "ablation steps, one JSON object per line",
    },
    bench: {
      type: "string",
      value: "FILE",
      help: "output of bench --json, for the speed table",
    },
    threads: THREADS_OPTION,
    quiet: { type: "boolean", help: "print only errors on stderr" },
  },
  notes:
    "MODEL defaults to the bundled model. The page needs no other file, no script and no network.\nWithout a checkpoint or photos, the sections that need them are replaced by a note.",
  permissions: "--allow-read --allow-write",
  interrupt: "kill",
  async run([given], values, mainIo) {
    const io = values.quiet ? quiet(mainIo) : mainIo;
    const path = modelPath(given);
    const folder = values.checkpoint ??
      (given === undefined ? bundledCheckpoint() : undefined);
    const measured = values.eval === undefined
      ? undefined
      : readJson(values.eval, "what eval --json printed") as Partial<Result>;
    const bench = values.bench === undefined
      ? undefined
      : readJson(values.bench, "what bench --json printed");
    const ablation = values.ablation === undefined
      ? undefined
      : readAblation(values.ablation);
    const photos = values.photos === undefined
      ? []
      : photosIn(values.photos).slice(0, values.samples);
    using file = openModelFile(fileSource(path));
    const model = readStaticModel(file);
    const missing: string[] = [];
    let looked: Looked = {};
    if (folder === undefined) {
      missing.push(
        "Weights and activations before rotation, and the error of each site: name the checkpoint with --checkpoint DIR.",
      );
    } else {
      using checkpoint = openFloatCheckpoint(folder);
      using engine = await startFloat32Engine(values.threads);
      looked = await look(model, checkpoint, photos, engine, missing, io);
    }
    if (photos.length === 0) {
      missing.push(
        "Activations, and the error of each site: name photos with --photos DIR.",
      );
    }
    if (!measured) {
      missing.push(
        "Quality: name the output of `eval --json` with --eval FILE.",
      );
    }
    if (!ablation) {
      missing.push("The ablation: name its steps with --ablation FILE.");
    }
    const sites = looked.sites ?? measured?.sites ?? undefined;
    const report: Report = {
      title: `${file.meta("architecture")} · ${fileName(path)}`,
      facts: factsOf(model, path, bench),
      ...(measured ? { quality: qualityOf(measured) } : {}),
      scales: scalesOf(model),
      ...looked,
      ...(sites ? { sites } : {}),
      ...(ablation ? { ablation } : {}),
      missing,
    };
    const page = new TextEncoder().encode(reportPage(report));
    writeAtomically(values.out, (out) => writeAll(out, page));
    io.err(`${values.out}: ${bytes(page.length)}`);
    return EXIT.ok;
  },
});

const fileName = (path: string) => path.slice(path.lastIndexOf("/") + 1);

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new RangeError(
      `Cannot read ${
        JSON.stringify(path)
      }: there is no such file; check the path`,
    );
  }
}

function parsed(text: string, path: string, wish: string) {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch { /* said below */ }
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    return json as Record<string, unknown>;
  }
  throw new RangeError(
    `Cannot read ${JSON.stringify(path)}: it is not ${wish}; create it again`,
  );
}

const readJson = (path: string, wish: string) =>
  parsed(readText(path), path, wish);

/** Steps: objects with a name under "step". */
function readAblation(path: string): Step[] {
  const wish = 'a JSON object with "step" on each line';
  const lines = readText(path).split("\n").filter((l) => l.trim() !== "");
  return lines.map((line) => {
    const step = parsed(line, path, wish);
    if (typeof step.step === "string") return step as Step;
    throw new RangeError(
      `Cannot read ${JSON.stringify(path)}: it is not ${wish}; create it again`,
    );
  });
}

function factsOf(
  { file, bits, nodes, info }: StaticModel,
  path: string,
  bench: Record<string, unknown> | undefined,
): [string, string][] {
  const recipe = JSON.parse(file.metadata.get("recipe") ?? "{}");
  const calibration = JSON.parse(file.metadata.get("calibration") ?? "{}");
  const weights = nodes.flatMap((n) => (n.op === "linear" ? [n] : []));
  const parameters = weights.reduce((s, l) => s + l.n * l.k, 0);
  const byBits = new Map<number, number>();
  for (const width of bits.values()) {
    byBits.set(width, (byBits.get(width) ?? 0) + 1);
  }
  const facts: [string, string][] = [
    ["file", `${fileName(path)}, ${bytes(Deno.statSync(path).size)}`],
    ["made from", file.metadata.get("source") ?? "unknown"],
    ["recipe", `${recipe.name ?? "unknown"}`],
    [
      "weights",
      `${(parameters / 1e6).toFixed(1)} million in ${weights.length} products`,
    ],
    [
      "bits",
      [...byBits].sort(([a], [b]) => a - b)
        .map(([width, count]) => `${count} × ${width}`).join(", "),
    ],
    ["vocabulary", info.vocabulary.toLocaleString("en")],
  ];
  if (calibration.photos !== undefined) {
    facts.push(["calibrated on", `${calibration.photos} photos`]);
  }
  const caption = bench?.caption as Record<string, unknown> | undefined;
  for (const [name, value] of Object.entries(caption ?? {})) {
    if (typeof value === "number") {
      facts.push([`speed: ${name}`, `${Number(value.toPrecision(4))}`]);
    }
  }
  return facts;
}

function qualityOf(
  { float, quantized, identical, agreement, vqa }: Partial<Result>,
): [string, string, string][] {
  const rows: [string, string, string][] = [];
  const four = (x: number | undefined) => x === undefined ? "–" : x.toFixed(4);
  const percent = (x: number) => `${(100 * x).toFixed(2)} %`;
  for (
    const [name, key] of [["CIDEr-D", "cider"], ["BLEU-4", "bleu4"], [
      "ROUGE-L",
      "rougeL",
    ]] as const
  ) {
    if (quantized) rows.push([name, four(float?.[key]), four(quantized[key])]);
  }
  if (float && quantized) {
    rows.push(["CIDEr-D kept", "", percent(quantized.cider / float.cider)]);
  }
  if (typeof identical === "number") {
    rows.push(["identical words", "", percent(identical)]);
  }
  if (agreement) {
    rows.push(["same next token", "", percent(agreement.top1)]);
    rows.push(["divergence, nats", "", four(agreement.kl)]);
  }
  if (vqa) {
    rows.push([
      "answers (VQA accuracy)",
      vqa.float === null ? "–" : percent(vqa.float),
      percent(vqa.quantized),
    ]);
  }
  return rows;
}

/** Both scales of each site of the text phase, once per site. */
function scalesOf(model: StaticModel): ScalePair[] {
  const pairs = new Map<string, ScalePair>();
  for (const node of model.nodes) {
    if (node.op !== "linear" || node.phase !== "text") continue;
    const [vision, text] = model.scales(siteScale(node));
    if (text !== undefined) pairs.set(node.x, { site: node.x, vision, text });
  }
  return [...pairs.values()];
}

type Looked = Pick<Report, "weights" | "activations" | "sites">;

/**
 * The parts of a report that need the checkpoint: weights and activations
 * before and after the passes, and the error of each site.
 */
async function look(
  file: StaticModel,
  checkpoint: FloatCheckpoint,
  photos: readonly string[],
  engine: Engine,
  missing: string[],
  io: Io,
): Promise<Looked> {
  const twin = twinOf(file, checkpoint);
  if (!twin) {
    missing.push(
      "The file's recipe makes another graph of this checkpoint: it is not what the file was made from.",
    );
    return {};
  }
  const weights = weightSpread(checkpoint.model, twin.model, io);
  if (photos.length === 0) return { weights };
  const samples = await samplesOf(
    checkpoint,
    load(checkpoint.model, engine),
    photos.map((path) => ({ item: path, path, prompt: DEFAULT_PROMPT })),
    ANSWER_TOKENS,
  );
  return {
    weights,
    activations: activationSpread(
      checkpoint.model,
      twin.model,
      samples,
      engine,
      io,
    ),
    sites: sitesShown(file, twin, samples, engine, io),
  };
}

function weightSpread(before: Model, after: Model, io: Io): BeforeAfter {
  const result = { before: spread(), after: spread() };
  const linears = before.nodes.filter((n) => n.op === "linear");
  const line = progress(io, "weights", linears.length);
  linears.forEach(({ weight }, i) => {
    addSpread(result.before, before.params.get(weight)!.read());
    addSpread(result.after, after.params.get(weight)!.read());
    line.at(i + 1, weight);
  });
  line.end();
  return result;
}

/** Distributions of the activations that enter matmuls, per modality. */
function activationSpread(
  before: Model,
  after: Model,
  samples: readonly Sample[],
  engine: Engine,
  io: Io,
): Record<"vision" | "text", BeforeAfter> {
  const result = {
    vision: { before: spread(), after: spread() },
    text: { before: spread(), after: spread() },
  };
  const line = progress(io, "activations", 2 * samples.length);
  let done = 0;
  for (const side of ["before", "after"] as const) {
    const loaded = load(side === "before" ? before : after, engine);
    for (const sample of samples) {
      const hooks: Hooks = {
        input(node, x, modality) {
          const width = channelsIn(node);
          for (const [kind, name] of ["vision", "text"].entries()) {
            const rows = [...modality.keys()].filter((r) =>
              modality[r] === kind
            );
            const own = engine.zeros(rows.length * width);
            rows.forEach((r, i) =>
              own.set(x.subarray(r * width, (r + 1) * width), i * width)
            );
            addSpread(result[name as "vision" | "text"][side], own);
          }
          return x;
        },
      };
      watchSites(loaded, sample, hooks);
      line.at(++done);
    }
  }
  line.end();
  return result;
}
