/**
 * `eval DIR`: measures a model file and its distance from the float checkpoint:
 * captions, answers, next tokens under teacher forcing, and the value at each
 * quantization site.
 * @module
 */
import { bleu } from "../evaluate/bleu.ts";
import { ciderD } from "../evaluate/cider.ts";
import { shuffledControl } from "../evaluate/control.ts";
import type { NegLogLikelihood } from "../evaluate/perplexity.ts";
import { rougeL } from "../evaluate/rouge.ts";
import type { SiteRow } from "../evaluate/sites.ts";
import { vqaAccuracy } from "../evaluate/vqa.ts";
import { openModelFile } from "../format/model_file.ts";
import { fileSource } from "../format/source.ts";
import { load } from "../graph/run.ts";
import { startFloat32Engine } from "../float/engine.ts";
import { readAssets } from "../session/assets.ts";
import { Engine } from "../execute/engine.ts";
import { readStaticModel } from "../graph/static_model.ts";
import {
  type Ask,
  type FloatAnswer,
  floatAnswers,
  quantizedAnswers,
} from "./answers.ts";
import { DEFAULT_PROMPT, openFloatCheckpoint } from "../convert/checkpoint.ts";
import { samplesOf, twinOf } from "../convert/twin.ts";
import { command } from "./command.ts";
import { EXIT } from "./errors.ts";
import { evalText, type Result, type Scores } from "./eval_text.ts";
import { quiet } from "./io.ts";
import { type Journal, openJournal } from "./journal.ts";
import { bundledCheckpoint, MODEL_OPTION, modelPath } from "./model_path.ts";
import { readReferences, type References } from "./references.ts";
import { sitesShown } from "./sites.ts";
import { textResult } from "./texts.ts";

const NO_FLOAT =
  "float is not measured: name the checkpoint with --checkpoint DIR";

export default command({
  name: "eval",
  summary:
    "evaluate a model file: captions, answers, perplexity, agreement with float",
  operands: "DIR",
  arity: [1, 1],
  options: {
    model: MODEL_OPTION,
    checkpoint: {
      type: "string",
      value: "DIR",
      help:
        "float checkpoint of the model; default: none, or that of the bundled model",
    },
    limit: {
      type: "integer",
      help: "evaluate only the first N photos and questions",
      min: 1,
    },
    prompt: {
      type: "string",
      value: "TEXT",
      help: "prompt for captions",
      default: DEFAULT_PROMPT,
    },
    "max-tokens": {
      type: "integer",
      help: "maximum length of a caption, in tokens",
      min: 1,
      max: 256,
      default: 40,
    },
    sites: {
      type: "integer",
      help:
        "number of photos on which every quantized activation is compared with float",
      min: 0,
      default: 4,
    },
    windows: {
      type: "integer",
      help: "number of windows of 256 tokens of text.txt for the perplexity",
      min: 1,
      default: 32,
    },
    threads: { type: "integer", help: "number of threads", min: 1, max: 64 },
    shuffled: {
      type: "boolean",
      help: "score against the captions of other photos, as a baseline",
    },
    journal: {
      type: "string",
      value: "FILE",
      help: "append captions to FILE and resume from it (needs --allow-write)",
    },
    json: { type: "boolean", help: "print one JSON object" },
    quiet: { type: "boolean", help: "print only errors on stderr" },
  },
  notes:
    'DIR contains one or more of:\n  images/ and captions.json   a list of {"file", "captions": [...]}: BLEU-4, CIDEr-D, ROUGE-L\n  images/ and questions.json  a list of {"file", "question", "answers": [...]}: VQA accuracy\n  text.txt                    perplexity\nDecoding is greedy. CIDEr-D takes its document frequencies from the references in DIR. Agreement:\nthe model reads the answers of the float model, and the most likely next tokens and the\nKullback-Leibler divergence are compared.',
  permissions: "--allow-read",
  async run([folder], values, mainIo) {
    const io = values.quiet ? quiet(mainIo) : mainIo;
    const lists = firstOf(readReferences(folder), values.limit);
    const { prompt, "max-tokens": maxTokens, threads } = values;
    const folderOfFloat = values.checkpoint ??
      (values.model === undefined ? bundledCheckpoint() : undefined);
    const path = modelPath(values.model);
    const asks = asksOf(lists, prompt);
    const key = (...whats: string[]) =>
      [...whats.flatMap((w) => [w, changed(w)]), maxTokens].join(" ");
    const quantized = await (async () => {
      using journal = openJournal<string>(values.journal, key(path));
      return await quantizedAnswers(
        path,
        asks,
        maxTokens,
        threads,
        journal,
        io,
      );
    })();
    if (folderOfFloat === undefined) io.err(NO_FLOAT);
    using checkpoint = folderOfFloat === undefined
      ? undefined
      : openFloatCheckpoint(folderOfFloat);
    using engine = await startFloat32Engine(threads);
    using file = openModelFile(fileSource(path));
    const model = readStaticModel(file), assets = readAssets(file, model.info);
    await using runtime = await Engine.create(
      model,
      assets.image,
      threads === undefined ? {} : { threads },
    );
    const loaded = checkpoint && load(checkpoint.model, engine);
    using journal = openJournal<FloatAnswer | NegLogLikelihood>(
      values.journal,
      key(path, ...(folderOfFloat === undefined ? [] : [folderOfFloat])),
    );
    let truths: FloatAnswer[] | undefined, sites: SiteRow[] | null = null;
    if (checkpoint && loaded) {
      truths = await floatAnswers(
        checkpoint,
        loaded,
        runtime,
        asks,
        maxTokens,
        journal as Journal<FloatAnswer>,
        io,
      );
      const some = asks.slice(0, values.sites);
      const twin = some.length > 0 ? twinOf(model, checkpoint) : undefined;
      if (twin) {
        const samples = await samplesOf(checkpoint, loaded, some, maxTokens);
        sites = sitesShown(model, twin, samples, engine, io);
      } else if (some.length > 0) {
        io.err(
          "sites are not compared: the file's recipe makes another graph of this checkpoint",
        );
      }
    }
    const text = lists.text === undefined ? null : await textResult(
      lists.text,
      values.windows,
      assets.tokenizer,
      runtime,
      loaded,
      journal as Journal<NegLogLikelihood>,
      io,
    );
    const result = {
      ...scores(lists, quantized, truths, values.shuffled),
      text,
      sites,
    };
    io.out(values.json ? `${JSON.stringify(result)}\n` : evalText(result));
    return EXIT.ok;
  },
});

function firstOf(lists: References, limit: number | undefined): References {
  return {
    ...lists,
    captions: lists.captions.slice(0, limit),
    questions: lists.questions.slice(0, limit),
  };
}

/** All captions, then all questions. */
function asksOf({ captions, questions }: References, prompt: string): Ask[] {
  return [
    ...captions.map(({ file, path }) => ({
      item: `${file} ${prompt}`,
      path,
      prompt,
    })),
    ...questions.map(({ file, path, question }) => ({
      item: `${file} ${question}`,
      path,
      prompt: question!,
    })),
  ];
}

/** Modification time of a file or folder. */
function changed(path: string): string {
  return `${Deno.statSync(path).mtime?.toISOString()}`;
}

function scores(
  { captions, questions }: References,
  quantized: readonly string[],
  truths: readonly FloatAnswer[] | undefined,
  shuffled: boolean,
): Omit<Result, "sites" | "text"> {
  const spoken = captions.map((r) => r.texts), n = spoken.length;
  const against = shuffled ? shuffledControl(spoken) : spoken;
  const score = (texts: readonly string[]): Scores | null =>
    n === 0 ? null : {
      cider: ciderD(texts.slice(0, n), against).mean,
      bleu4: bleu(texts.slice(0, n), against)[3],
      rougeL: rougeL(texts.slice(0, n), against),
    };
  const float = truths?.map((t) => t.text);
  const answers = questions.map((r) => r.texts);
  const sum = (of: (t: FloatAnswer) => number) =>
    truths!.reduce((s, t) => s + of(t), 0);
  return {
    float: float ? score(float) : null,
    quantized: score(quantized),
    identical: float
      ? float.filter((c, i) => c === quantized[i]).length / float.length
      : null,
    images: n,
    agreement: truths
      ? {
        top1: sum((t) => t.same) / sum((t) => t.tokens),
        kl: sum((t) => t.kl) / sum((t) => t.tokens),
        tokens: sum((t) => t.tokens),
      }
      : null,
    vqa: answers.length === 0 ? null : {
      float: float ? vqaAccuracy(float.slice(n), answers) : null,
      quantized: vqaAccuracy(quantized.slice(n), answers),
      questions: answers.length,
    },
  };
}
