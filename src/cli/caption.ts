/**
 * `caption PHOTO...`: captions on stdout, timing and errors on stderr.
 * @module
 */
import type { Image } from "../image/image.ts";
import { open } from "../mod.ts";
import type { Session } from "../mod.ts";
import { command } from "./command.ts";
import { EXIT, sentence } from "./errors.ts";
import { dim, type Io, PipeClosed, printable, quiet } from "./io.ts";
import { MODEL_OPTION, modelPath } from "./model_path.ts";
import { readPhoto } from "./photo.ts";

const options = {
  prompt: { type: "string", value: "TEXT", help: "what to ask of the photo" },
  "max-tokens": {
    type: "integer",
    help: "longest answer",
    min: 1,
    max: 1024,
  },
  "max-tiles": {
    type: "integer",
    help: "cut a photo into at most so many tiles, for models that can",
    min: 1,
    max: 64,
  },
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
  model: MODEL_OPTION,
  json: {
    type: "boolean",
    help: "one JSON object per photo, a line each",
  },
  quiet: { type: "boolean", help: "no timing, only errors, on stderr" },
} as const;

export default command({
  name: "caption",
  summary: "say what is in a photo",
  operands: "PHOTO...",
  arity: [1, Infinity],
  options,
  notes:
    "PHOTO is a JPEG, PNG or WebP; - reads one from stdin. One photo: its caption. Several: the\nname, a tab, the caption, a line each; a photo that cannot be read does not stop the others.",
  permissions: "--allow-read",
  async run(photos, values, io) {
    const say = values.quiet ? quiet(io) : io;
    let failed = 0;
    const fail = (photo: string, error: unknown) => {
      if (io.signal.aborted || error instanceof PipeClosed) throw error;
      failed++;
      const text = sentence(error, `caption ${JSON.stringify(photo)}`);
      if (values.json) io.out(`${JSON.stringify({ photo, error: text })}\n`);
      io.err(text);
    };
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
        session ??= await open(modelPath(values.model), {
          ...given({ threads: values.threads }),
          signal: io.signal,
        });
        try {
          await captionOne(session, photo, image);
        } catch (error) {
          fail(photo, error);
        }
      }
    } finally {
      await session?.[Symbol.asyncDispose]();
    }
    if (failed === 0) return EXIT.ok;
    return failed < photos.length ? EXIT.partial : EXIT.failure;

    async function captionOne(s: Session, photo: string, image: Image) {
      say.status("looking …");
      const answer = s.caption(image, {
        ...given({
          prompt: values.prompt,
          maxTokens: values["max-tokens"],
          maxTiles: values["max-tiles"],
          temperature: values.temperature,
          topK: values["top-k"],
          topP: values["top-p"],
          seed: values.seed,
        }),
        signal: io.signal,
      });
      if (!values.json) {
        await stream(answer, photos.length > 1 ? photo : "", io);
      }
      const { text, tokens, finish, timings } = await answer;
      io.signal.throwIfAborted();
      if (values.json) {
        const caption = text.trim(), { length } = tokens;
        io.out(
          `${
            JSON.stringify({ photo, caption, tokens: length, finish, timings })
          }\n`,
        );
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

/** Writes the pieces as they come; a name before them keeps them on one line. */
async function stream(answer: AsyncIterable<string>, name: string, io: Io) {
  let first = true;
  for await (const piece of answer) {
    let text = printable(piece);
    if (name !== "") text = text.replaceAll(/[\n\t]+/g, " ");
    if (first) text = `${name && `${name}\t`}${text.trimStart()}`;
    first = false;
    io.out(text);
  }
  io.out(first && name !== "" ? `${name}\t\n` : "\n");
}

/** `object` without what is not given. */
function given<T extends object>(
  object: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(object).filter(([, v]) => v !== undefined),
  ) as never;
}
