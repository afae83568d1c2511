/**
 * `chat`: a conversation about images in the terminal.
 * @module
 */
import { open } from "../mod.ts";
import type { AskOptions, Message, Session } from "../mod.ts";
import type { Image } from "../image/image.ts";
import { command } from "./command.ts";
import { type Decoding, decoding } from "./decoding.ts";
import { EXIT, sentence } from "./errors.ts";
import { dim, type Io, printable, quiet } from "./io.ts";
import { lines } from "./lines.ts";
import {
  MEMORY_OPTION,
  memoryOption,
  MODEL_OPTION,
  modelPath,
} from "./model_path.ts";
import { readPhoto } from "./photo.ts";
import { PICTURE_OPTIONS, pictureOptions } from "./picture_options.ts";

const HELP = `Type a line; the answer is printed below it.
  /image PATH   add a photo to the next line; may be repeated
  /history      print the conversation so far
  /reset        forget the conversation and its images
  /help         print this text
  /quit         quit (also: end of input, or Ctrl-C at the prompt)
Ctrl-C stops an answer.`;

const options = {
  system: { type: "string", value: "TEXT", help: "system message" },
  "max-tokens": {
    type: "integer",
    help: "maximum length of an answer, in tokens",
    min: 1,
    max: 1024,
    default: 256,
  },
  ...PICTURE_OPTIONS,
  temperature: {
    type: "number",
    help: "sampling temperature; 0 is greedy decoding",
    min: 0,
    max: 10,
    default: 0,
  },
  "top-p": {
    type: "number",
    help:
      "sample from the most likely tokens whose probabilities add up to this (nucleus sampling)",
    min: 0.001,
    max: 1,
    default: 1,
  },
  seed: {
    type: "integer",
    help: "seed of sampling; the same seed gives the same answer",
    min: 0,
    max: 2 ** 32 - 1,
    default: 0,
  },
  "max-memory": MEMORY_OPTION,
  threads: {
    type: "integer",
    help: "number of threads; default: one per CPU, at most 4",
    min: 1,
    max: 64,
  },
  context: {
    type: "integer",
    help:
      "context length in tokens; default: 2048, or the model's maximum if lower",
    min: 8,
    max: 1_048_576,
  },
  model: MODEL_OPTION,
  quiet: { type: "boolean", help: "print only answers and errors" },
} as const;

/** A conversation, and the images for its next line. */
interface Talk {
  readonly messages: Message[];
  readonly pending: Image[];
}

export default command({
  name: "chat",
  summary: "chat about photos in the terminal",
  operands: "[PHOTO...]",
  arity: [0, 64],
  options,
  notes:
    `The photos belong to the first line. Lines come from the terminal or from a pipe; answers go to\nstdout.\n\n${HELP}`,
  permissions: "--allow-read",
  interrupt: "kill",
  async run(photos, values, io) {
    const say = values.quiet ? quiet(io) : io;
    using decoder = decoding();
    const pending: Image[] = [];
    for (const path of photos) {
      try {
        pending.push(await readPhoto(path, decoder, io.signal));
      } catch (error) {
        io.err(sentence(error, `show ${JSON.stringify(path)}`));
        return EXIT.failure;
      }
    }
    const talk: Talk = { messages: system(values.system), pending };
    await using session = await open(modelPath(values.model), {
      ...(values.threads === undefined ? {} : { threads: values.threads }),
      ...(values.context === undefined ? {} : { context: values.context }),
      ...memoryOption(values),
      ...pictureOptions(values),
      remember: true, // a follow-up costs only what is new
    });
    const terminal = Deno.stdin.isTerminal();
    const asked: AskOptions = {
      maxTokens: values["max-tokens"],
      temperature: values.temperature,
      topP: values["top-p"],
      seed: values.seed,
    };
    if (terminal) say.err(dim("/help says what can be written here"));
    const prompt = () => terminal && io.out("> ");
    prompt();
    let failed = false;
    for await (const line of lines(Deno.stdin.readable)) {
      const text = line.trim();
      if (text === "/quit" || text === "/exit") break;
      let attempt = "answer";
      try {
        if (text === "/help") io.err(HELP);
        else if (text === "/history") io.out(historyText(talk.messages));
        else if (text === "/reset") {
          talk.messages.splice(0, Infinity, ...system(values.system));
          talk.pending.length = 0;
          say.err(dim("forgotten"));
        } else if (/^\/image(\s|$)/.test(text)) {
          const path = text.slice(6).trim();
          attempt = `show ${JSON.stringify(path)}`;
          await showImage(path, talk, decoder, say);
        } else if (/^\/[a-z]+$/.test(text)) {
          throw new Error(
            `Cannot run ${text}: there is no such command; /help lists the commands`,
          );
        } else if (text !== "") await turn(session, talk, text, asked, io);
      } catch (error) {
        failed = true;
        io.err(sentence(error, attempt));
      }
      prompt();
    }
    // At a terminal one has seen what failed; a script must be told.
    return failed && !terminal ? EXIT.partial : EXIT.ok;
  },
});

function system(text: string | undefined): Message[] {
  if (text === undefined) return [];
  return [{ role: "system", content: [{ type: "text", text }] }];
}

/** The conversation as text, one line per message; images as their size. */
function historyText(messages: readonly Message[]): string {
  const lines = messages.map(({ role, content }) => {
    const parts = typeof content === "string"
      ? [content]
      : content.map((part) =>
        part.type === "text" ? part.text : sizeOf(part.image as Image)
      );
    return `${role}: ${printable(parts.join(" ")).replaceAll("\n", " ")}\n`;
  });
  return lines.length > 0 ? lines.join("") : "nothing was said yet\n";
}

const sizeOf = ({ width, height }: Image) => `[${width} × ${height} image]`;

async function showImage(
  path: string,
  { pending }: Talk,
  decoder: Decoding,
  say: Io,
) {
  if (path === "") {
    throw new Error(
      "Cannot add an image: its path is missing; write /image PATH",
    );
  }
  const image = await readPhoto(unquoted(path), decoder, say.signal);
  pending.push(image);
  say.err(dim(`${image.width} × ${image.height} pixels, with the next line`));
}

/** Removes the quotes that terminals add to a dropped path. */
function unquoted(path: string): string {
  const quoted = /^(["'])(.*)\1$/.exec(path);
  return quoted ? quoted[2] : path.replaceAll("\\ ", " ");
}

/**
 * Asks one line and prints the answer; a line that fails is removed from the
 * conversation.
 */
async function turn(
  session: Session,
  { messages, pending }: Talk,
  text: string,
  options: AskOptions,
  io: Io,
) {
  const content: Message["content"] = [
    ...pending.map((image) => ({ type: "image" as const, image })),
    { type: "text", text },
  ];
  const stop = new AbortController(), onInterrupt = () => stop.abort();
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    const answer = session.chat([...messages, { role: "user", content }], {
      ...options,
      signal: stop.signal,
    });
    let first = true;
    for await (const piece of answer) {
      const shown = printable(first ? piece.trimStart() : piece);
      first &&= shown === "";
      io.out(shown);
    }
    io.out("\n");
    const { text: said, finish } = await answer;
    if (finish === "aborted") io.err(dim("stopped"));
    if (finish === "length") io.err(dim("cut off at --max-tokens"));
    messages.push({ role: "user", content }, {
      role: "assistant",
      content: [{ type: "text", text: said.trim() }],
    });
    pending.length = 0;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}
