/**
 * `caption PHOTO...`: captions on stdout, timing and errors on stderr.
 * @module
 */
import type { Image } from "../image/image.ts";
import type { Session } from "../mod.ts";
import {
  askOptions,
  CAPTION_OPTIONS,
  type CaptionValues,
  openSession,
  questionOf,
} from "./caption_options.ts";
import { command } from "./command.ts";
import { decoding } from "./decoding.ts";
import { EXIT, sentence, UsageError } from "./errors.ts";
import { findPhotos } from "./find_photos.ts";
import { dim, field, type Io, PipeClosed, printable, quiet } from "./io.ts";
import { readPhoto } from "./photo.ts";

export default command({
  name: "caption",
  summary: "caption photos, folders of photos, or images without alt text",
  operands: "PHOTO|FOLDER...",
  arity: [1, Infinity],
  options: CAPTION_OPTIONS,
  notes:
    `PHOTO is a JPEG, PNG or WebP file; - reads it from stdin. FOLDER means all photos in it and in its
subfolders. A quoted pattern such as "holiday/**/*.jpg" also works. Symbolic links are not followed.
For one photo, stdout is the caption; for several, one line each: name, tab, caption. A photo that
cannot be read does not stop the others.

With --sidecar, --journal or --watch captions are written into files. The same command resumes an
interrupted run, also after kill -9: a caption is found again by the photo's content, the model and
the prompt. A journal is valid only in the folder where it was written; a journal that came with the
photos is refused. A sidecar that mquant did not write, or that was edited, is not changed.

With --alt-text the operands are HTML and Markdown pages or folders of pages. Images without an alt
attribute (HTML) or with empty brackets (Markdown) get a caption; no other byte changes. alt=""
marks a decorative image and stays.`,
  permissions:
    "--allow-read; with --sidecar, --journal, --watch or --alt-text also --allow-write=FOLDER",
  async run(operands, values, io) {
    const say = values.quiet ? quiet(io) : io;
    const elsewhere = await intoFiles(values);
    if (elsewhere) return await elsewhere(operands, values, io, say);
    const question = questionOf(values);
    using decoder = decoding();
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
          image = await readPhoto(photo, decoder, io.signal);
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
      say.status("running …");
      const answer = s.caption(image, askOptions(question, io.signal));
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

/** Writes captions to files, if an option requests it. */
async function intoFiles(values: CaptionValues) {
  const keeping = values.sidecar !== undefined ||
    values.journal !== undefined || values.watch;
  if (values["alt-text"]) {
    if (keeping) {
      throw new UsageError(
        "Cannot caption: --alt-text cannot be combined with --sidecar, --journal or --watch; run the command twice",
      );
    }
    return (await import("./alt_text.ts")).fillAltTexts;
  }
  if (!keeping) return undefined;
  return (await import("./caption_folder.ts")).keepCaptions;
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
