/**
 * Where a command writes: results on stdout, everything else on stderr. A
 * closed pipe ends the command quietly.
 * @module
 */
import { styleText } from "node:util";

/** Thrown where the reader of our output has gone. */
export class PipeClosed extends Error {}

/** Where a command writes, and how it learns of Ctrl-C. */
export interface Io {
  /** Results. */
  out(text: string): void;
  /** Messages, a line each. */
  err(line: string): void;
  /** Rewrites the last line of stderr; where stderr is no terminal, a line now and then. */
  status(line: string): void;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** What aborts `signal`. */
  readonly controller: AbortController;
}

const encoder = new TextEncoder();

/** A log hears of progress so often. */
const LOG_MS = 30_000;

function write(stream: { writeSync(p: Uint8Array): number }, text: string) {
  const bytes = encoder.encode(text);
  try {
    for (let at = 0; at < bytes.length;) {
      at += stream.writeSync(bytes.subarray(at));
    }
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw new PipeClosed();
    throw error;
  }
}

/**
 * Text as a terminal or a log may have it: names of files and words of others
 * can hold what moves the cursor, hides or reverses text. Such characters are
 * written as in JSON, so a line of JSON stays the same JSON; tabs and newlines
 * stay. All that is written passes through here.
 */
export function harmless(text: string): string {
  return text.replace(
    /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A name as one field of a line: without tabs and newlines, too. */
export function field(name: string): string {
  return harmless(name).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

/** Text without the control characters that could drive a terminal; tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu, "");
}

const [DIM, PLAIN] = styleText("dim", "|", { validateStream: false }).split(
  "|",
);

/** Text in a weak colour, where stderr is a terminal that shows colours. */
export function dim(text: string): string {
  return Deno.stderr.isTerminal() && !Deno.noColor
    ? `${DIM}${text}${PLAIN}`
    : text;
}

/** A line, made harmless but for the colour of `dim` around it. */
export function message(line: string): string {
  return line.startsWith(DIM) && line.endsWith(PLAIN)
    ? `${DIM}${harmless(line.slice(DIM.length, -PLAIN.length))}${PLAIN}`
    : harmless(line);
}

/** The process's own streams. */
export function processIo(): Io {
  const controller = new AbortController();
  const terminal = Deno.stderr.isTerminal();
  let open = false; // a status line stands unfinished
  let logged = performance.now();
  const clear = () => {
    if (open) write(Deno.stderr, "\r\x1b[K");
    open = false;
  };
  return {
    controller,
    signal: controller.signal,
    out(text) {
      clear();
      write(Deno.stdout, harmless(text));
    },
    err(line) {
      clear();
      write(Deno.stderr, `${message(line)}\n`);
    },
    status(line) {
      if (!terminal) {
        if (line === "" || performance.now() - logged < LOG_MS) return;
        logged = performance.now();
        write(Deno.stderr, `${harmless(line)}\n`);
        return;
      }
      clear();
      if (line === "") return;
      const { columns } = Deno.consoleSize();
      write(Deno.stderr, field(line).slice(0, columns - 1));
      open = true;
    },
  };
}

/** `io` without messages, for `--quiet`; errors are still returned as exit codes and thrown. */
export function quiet(io: Io): Io {
  return { ...io, err() {}, status() {} };
}
