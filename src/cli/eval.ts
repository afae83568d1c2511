/**
 * `eval DIR`: BLEU-4 and CIDEr-D of the model file, and beside it of the float
 * checkpoint it was made from, and how many captions are the same.
 * @module
 */
import { bleu } from "../evaluate/bleu.ts";
import { ciderD } from "../evaluate/cider.ts";
import { shuffledControl } from "../evaluate/control.ts";
import { generate } from "../graph/generate.ts";
import { load } from "../graph/interpreter.ts";
import { startFloat32Engine } from "../kernels/engine.ts";
import { open } from "../mod.ts";
import { DEFAULT_PROMPT, openFloatCheckpoint } from "./checkpoint.ts";
import { command } from "./command.ts";
import { EXIT } from "./errors.ts";
import { type Io, quiet } from "./io.ts";
import { type Journal, openJournal } from "./journal.ts";
import { bundledCheckpoint, MODEL_OPTION, modelPath } from "./model_path.ts";
import { progress } from "./progress.ts";
import { readReferences, type Reference } from "./references.ts";
import { readPrompts } from "./samples.ts";
import { table } from "./table.ts";
import { defaultThreads } from "./threads.ts";

/** Photos the float model captions at once. */
const BATCH = 8;

/** What both sides are asked. */
interface Task {
  readonly references: readonly Reference[];
  readonly prompt: string;
  readonly maxTokens: number;
  readonly journal: Journal;
  readonly io: Io;
}

/** Scores of one side. */
interface Scores {
  readonly cider: number;
  readonly bleu4: number;
}

export default command({
  name: "eval",
  summary:
    "caption a folder with references; BLEU-4 and CIDEr-D, float beside quantized",
  operands: "DIR",
  arity: [1, 1],
  options: {
    model: MODEL_OPTION,
    checkpoint: {
      type: "string",
      value: "DIR",
      help:
        "the float checkpoint the model was made from; default: that of the bundled model, none for another",
    },
    limit: { type: "integer", help: "photos, the first of the list", min: 1 },
    prompt: {
      type: "string",
      value: "TEXT",
      help: "what to ask",
      default: DEFAULT_PROMPT,
    },
    "max-tokens": {
      type: "integer",
      help: "longest caption",
      min: 1,
      max: 256,
      default: 40,
    },
    threads: { type: "integer", help: "threads", min: 1, max: 64 },
    shuffled: {
      type: "boolean",
      help: "score against the captions of other photos: what chance reaches",
    },
    journal: {
      type: "string",
      value: "FILE",
      help: "keep captions there, and go on from it (needs --allow-write)",
    },
    json: { type: "boolean", help: "one JSON object" },
    quiet: { type: "boolean", help: "no progress, only errors, on stderr" },
  },
  notes:
    'DIR holds images/ and captions.json, a list of {"file", "captions": [...]}. Captions are greedy.\nDocument frequencies of CIDEr-D come from the references of the folder itself.',
  permissions: "--allow-read",
  async run([folder], values, mainIo) {
    const io = values.quiet ? quiet(mainIo) : mainIo;
    const references = readReferences(folder).slice(0, values.limit);
    const { prompt, "max-tokens": maxTokens } = values;
    const checkpoint = values.checkpoint ??
      (values.model === undefined ? bundledCheckpoint() : undefined);
    const path = modelPath(values.model);
    const key = (what: string) =>
      `${what} ${
        Deno.statSync(what).mtime?.toISOString()
      } ${maxTokens} ${prompt}`;
    const task = (what: string): Task => ({
      references,
      prompt,
      maxTokens,
      journal: openJournal(values.journal, key(what)),
      io,
    });
    const quantized = await quantizedCaptions(path, values.threads, task(path));
    const float = checkpoint === undefined
      ? undefined
      : await floatCaptions(checkpoint, values.threads, task(checkpoint));
    if (float === undefined) {
      io.err(
        "float is not measured: name the checkpoint with --checkpoint DIR",
      );
    }
    const spoken = references.map((r) => r.captions);
    const against = values.shuffled ? shuffledControl(spoken) : spoken;
    const score = (captions: readonly string[]): Scores => ({
      cider: ciderD(captions, against).mean,
      bleu4: bleu(captions, against)[3],
    });
    const result = {
      float: float ? score(float) : null,
      quantized: score(quantized),
      identical: float
        ? float.filter((c, i) => c === quantized[i]).length / float.length
        : null,
      images: references.length,
    };
    io.out(values.json ? `${JSON.stringify(result)}\n` : asText(result));
    return EXIT.ok;
  },
});

async function quantizedCaptions(
  path: string,
  threads: number | undefined,
  { references, prompt, maxTokens, journal, io }: Task,
): Promise<string[]> {
  using _ = journal;
  await using session = await open(path, {
    ...(threads === undefined ? {} : { threads }),
    signal: io.signal,
  });
  const line = progress(io, "quantized", references.length);
  const captions: string[] = [];
  for (const { file, path } of references) {
    let caption = journal.get(file);
    if (caption === undefined) {
      const bytes = await Deno.readFile(path);
      const answer = await session.caption(bytes, {
        prompt,
        maxTokens,
        temperature: 0,
        signal: io.signal,
      });
      caption = answer.text.trim();
      journal.add(file, caption);
    }
    captions.push(caption);
    line.at(captions.length, `${JSON.stringify(caption)}`);
  }
  line.end();
  return captions;
}

async function floatCaptions(
  folder: string,
  threads: number | undefined,
  { references, prompt, maxTokens, journal, io }: Task,
): Promise<string[]> {
  using _ = journal;
  using checkpoint = openFloatCheckpoint(folder);
  using engine = await startFloat32Engine(threads ?? defaultThreads());
  const loaded = load(checkpoint.model, engine);
  const line = progress(io, "float", references.length);
  const todo = references.filter((r) => journal.get(r.file) === undefined);
  for (let i = 0; i < todo.length; i += BATCH) {
    const batch = todo.slice(i, i + BATCH);
    const photos = batch.map((r) => r.path);
    const { prompts } = await readPrompts(checkpoint, photos, [prompt]);
    const answers = generate(loaded, prompts, maxTokens);
    batch.forEach((r, j) =>
      journal.add(r.file, checkpoint.tokenizer.decode(answers[j]).trim())
    );
    line.at(references.length - todo.length + i + batch.length);
    await new Promise((turn) => setTimeout(turn)); // Ctrl-C is heard here
    io.signal.throwIfAborted();
  }
  line.end();
  return references.map((r) => journal.get(r.file)!);
}

function asText(
  { float, quantized, identical, images }: {
    readonly float: Scores | null;
    readonly quantized: Scores;
    readonly identical: number | null;
    readonly images: number;
  },
): string {
  const row = (name: string, s: Scores) => [
    name,
    s.cider.toFixed(4),
    s.bleu4.toFixed(4),
  ];
  const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
  const rows = [[`${images} photos`, "CIDEr-D", "BLEU-4"]];
  if (float) rows.push(row("float", float));
  rows.push(row("quantized", quantized));
  if (float) {
    rows.push([
      "kept",
      percent(quantized.cider / float.cider),
      percent(quantized.bleu4 / float.bleu4),
    ]);
  }
  return table(rows) +
    (identical === null ? "" : `identical captions: ${percent(identical)}\n`);
}
