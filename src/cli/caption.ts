/**
 * `caption PHOTO...`: captions on stdout, timing and errors on stderr.
 * @module
 */
import type { Image } from "../image/image.ts";
import { open } from "../mod.ts";
import type { CaptionOptions, JsonSchema, Session } from "../mod.ts";
import { command, type Values } from "./command.ts";
import { EXIT, sentence, UsageError } from "./errors.ts";
import { findPhotos } from "./find_photos.ts";
import { dim, field, type Io, PipeClosed, printable, quiet } from "./io.ts";
import {
  MEMORY_OPTION,
  memoryOption,
  MODEL_OPTION,
  modelPath,
} from "./model_path.ts";
import { readPhoto } from "./photo.ts";
import { PICTURE_OPTIONS, pictureOptions } from "./picture_options.ts";

const options = {
  prompt: { type: "string", value: "TEXT", help: "what to ask of the photo" },
  "max-tokens": {
    type: "integer",
    help: "longest answer",
    min: 1,
    max: 1024,
  },
  ...PICTURE_OPTIONS,
  "max-memory": MEMORY_OPTION,
  threads: {
    type: "integer",
    help: "threads; default: one per CPU, at most 4",
    min: 1,
    max: 64,
  },
  temperature: {
    type: "number",
    help: "0 always takes the likeliest token",
    min: 0,
    max: 10,
  },
  "top-k": {
    type: "integer",
    help: "draw from the k likeliest tokens",
    min: 1,
    max: 1000,
  },
  "top-p": {
    type: "number",
    help: "draw from the likeliest tokens that make up this share",
    min: 0.001,
    max: 1,
  },
  seed: {
    type: "integer",
    help: "same seed, same draws",
    min: 0,
    max: 2 ** 32 - 1,
  },
  schema: {
    type: "string",
    value: "FILE",
    help: "answer in JSON that is valid for the JSON schema in FILE",
  },
  model: MODEL_OPTION,
  sidecar: {
    type: "string",
    value: "KIND,...",
    help: "keep captions beside the photos, as txt, json or xmp files",
  },
  journal: {
    type: "string",
    value: "FILE",
    help:
      "note every caption there; default with --sidecar: captions.jsonl in the first folder",
  },
  "trust-journal": {
    type: "boolean",
    help:
      "go on with a journal that was written in another folder or on another machine",
  },
  overwrite: {
    type: "boolean",
    help: "replace sidecars that somebody else wrote or changed",
  },
  "full-names": {
    type: "boolean",
    help: "name sidecars photo.jpg.txt, not photo.txt",
  },
  watch: {
    type: "boolean",
    help: "then wait for new photos, until Ctrl-C",
  },
  "alt-text": {
    type: "boolean",
    help: "instead: fill in missing alternative texts of HTML and Markdown",
  },
  "site-root": {
    type: "string",
    value: "FOLDER",
    help: "what / stands for in the addresses of --alt-text",
  },
  json: {
    type: "boolean",
    help: "one JSON object per photo, a line each",
  },
  quiet: { type: "boolean", help: "no timing, only errors, on stderr" },
} as const;

/** What was asked for on the command line. */
export type CaptionValues = Values<typeof options>;

export default command({
  name: "caption",
  summary: "say what is in a photo",
  operands: "PHOTO|FOLDER...",
  arity: [1, Infinity],
  options,
  notes:
    `PHOTO is a JPEG, PNG or WebP; - reads one from stdin. FOLDER stands for the photos in it and in
the folders below; a quoted pattern such as "holiday/**/*.jpg" works as well. Symbolic links are
not followed. One photo: its caption. Several: the name, a tab, the caption, a line each; a photo
that cannot be read does not stop the others.

With --sidecar, --journal or --watch captions are kept in files, and a run that was interrupted,
even killed, goes on where it ended: a caption is known again by the content of the photo, the
model and the question. A journal counts only in the folder it was written in: one that came with
photos is refused. A sidecar that is not ours, or was edited, stays as it is.

With --alt-text the operands are pages, or folders of them: images of HTML without an alt attribute
and of Markdown with empty brackets get their caption, and no byte elsewhere changes. alt="" stays:
it says that an image is decoration.`,
  permissions:
    "--allow-read; with --sidecar, --journal, --watch or --alt-text also --allow-write=FOLDER",
  async run(operands, values, io) {
    const say = values.quiet ? quiet(io) : io;
    const keeping = values.sidecar !== undefined ||
      values.journal !== undefined || values.watch;
    if (values["alt-text"]) {
      if (keeping) {
        throw new UsageError(
          "Cannot caption: --alt-text writes into pages, --sidecar, --journal and --watch into files of their own; run it twice",
        );
      }
      const { fillAltTexts } = await import("./alt_text.ts");
      return await fillAltTexts(operands, values, io, say);
    }
    if (keeping) {
      const { keepCaptions } = await import("./caption_folder.ts");
      return await keepCaptions(operands, values, io, say);
    }
    let failed = 0, done = 0;
    const fail = (photo: string, error: unknown) => {
      if (io.signal.aborted || error instanceof PipeClosed) throw error;
      failed++;
      const text = sentence(error, `caption ${JSON.stringify(photo)}`);
      if (values.json) io.out(`${JSON.stringify({ photo, error: text })}\n`);
      io.err(text);
    };
    const { photos, problems } = findPhotos(operands);
    for (const [operand, why] of problems) fail(operand, why);
    let session: Session | undefined;
    try {
      for (const photo of photos) {
        let image;
        try {
          image = await readPhoto(photo, io.signal);
        } catch (error) {
          fail(photo, error);
          continue;
        }
        // One model for all photos, opened when the first one can be read.
        session ??= await openSession(values, io.signal);
        try {
          await captionOne(session, photo, image);
          done++;
        } catch (error) {
          fail(photo, error);
        }
      }
    } finally {
      await session?.[Symbol.asyncDispose]();
    }
    if (failed === 0) return EXIT.ok;
    return done > 0 ? EXIT.partial : EXIT.failure;

    async function captionOne(s: Session, photo: string, image: Image) {
      say.status("looking …");
      const answer = s.caption(image, askOptions(values, io.signal));
      if (!values.json) {
        const several = photos.length + problems.length > 1;
        await stream(answer, several ? photo : "", io);
      }
      const { text, tokens, finish, timings } = await answer;
      io.signal.throwIfAborted();
      if (values.json) {
        const { loadMs } = s.info;
        const line = {
          photo,
          caption: text.trim(),
          tokens: tokens.length,
          finish,
          timings: { loadMs, ...timings },
        };
        io.out(`${JSON.stringify(line)}\n`);
      }
      const ms = (x: number) => `${Math.round(x)} ms`;
      say.err(dim(
        `image ${ms(timings.imageMs + timings.visionMs)}, prompt ${
          ms(timings.prefillMs)
        }, ${tokens.length} tokens ${ms(timings.decodeMs)}`,
      ));
    }
  },
});

/** The model that was asked for, opened. */
export async function openSession(
  values: CaptionValues,
  signal: AbortSignal,
): Promise<Session> {
  return await open(modelPath(values.model), {
    ...given({ threads: values.threads }),
    ...memoryOption(values),
    ...pictureOptions(values),
    signal,
  });
}

/** A session that is opened when it is first needed: where all is known, none is. */
export function lazily(open: () => Promise<Session>) {
  let opened: Promise<Session> | undefined;
  return {
    get: () => opened ??= open(),
    async [Symbol.asyncDispose]() {
      await (await opened?.catch(() => undefined))?.[Symbol.asyncDispose]();
    },
  };
}

/** How to ask, as the command line says. */
export function askOptions(
  values: CaptionValues,
  signal: AbortSignal,
): CaptionOptions {
  return { ...given(questionOf(values)), signal };
}

/** All of a command line that bears on an answer. */
export function questionOf(values: CaptionValues) {
  return {
    prompt: values.prompt,
    maxTokens: values["max-tokens"],
    ...pictureOptions(values),
    temperature: values.temperature,
    topK: values["top-k"],
    topP: values["top-p"],
    seed: values.seed,
    schema: schemaIn(values.schema),
  };
}

function schemaIn(path: string | undefined): JsonSchema | undefined {
  if (path === undefined) return undefined;
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(
      `Cannot read the schema ${
        JSON.stringify(path)
      }: it is not JSON; see json-schema.org`,
    );
  }
}

/** Writes the pieces as they come; a name before them keeps them on one line. */
async function stream(answer: AsyncIterable<string>, name: string, io: Io) {
  let first = true;
  for await (const piece of answer) {
    let text = printable(piece);
    if (name !== "") text = text.replaceAll(/[\n\t]+/g, " ");
    if (first) text = `${name && `${field(name)}\t`}${text.trimStart()}`;
    first = false;
    io.out(text);
  }
  io.out(first && name !== "" ? `${field(name)}\t\n` : "\n");
}

/** `object` without what is not given. */
function given<T extends object>(
  object: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(object).filter(([, v]) => v !== undefined),
  ) as never;
}
