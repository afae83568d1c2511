/**
 * The output of a command: results on stdout, everything else on stderr. A
 * closed pipe ends the command without an error.
 * @module
 */
import { styleText } from "node:util";

/** Thrown when the reader of the output has closed the pipe. */
export class PipeClosed extends Error {}

/** Output of a command, and its Ctrl-C signal. */
export interface Io {
  /** Writes a result to stdout. */
  out(text: string): void;
  /** Writes a message line to stderr. */
  err(line: string): void;
  /** Rewrites the last line of a terminal; otherwise writes a line every 30 s. */
  status(line: string): void;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  /** The controller of `signal`. */
  readonly controller: AbortController;
}

const encoder = new TextEncoder();

/** Interval of progress lines in a log, in milliseconds. */
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
 * Escapes characters that control a terminal. File names and texts from others
 * can contain characters that move the cursor, hide text or reverse it; they
 * are written as JSON escapes, so a line of JSON keeps its meaning. Tabs and
 * newlines stay. All output passes through this function.
 */
export function harmless(text: string): string {
  return text.replace(
    /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Escapes a name for one field of a line: also tabs and newlines. */
export function field(name: string): string {
  return harmless(name).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}

/** Removes terminal control characters; tabs and newlines stay. */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu, "");
}

const [DIM, PLAIN] = styleText("dim", "|", { validateStream: false }).split(
  "|",
);

/** Dimmed text, if stderr is a terminal with colours. */
export function dim(text: string): string {
  return Deno.stderr.isTerminal() && !Deno.noColor
    ? `${DIM}${text}${PLAIN}`
    : text;
}

/** Escapes a line but keeps the colour of `dim`. */
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

/**
 * `io` without messages, for `--quiet`; errors are still thrown and returned as
 * exit codes.
 */
export function quiet(io: Io): Io {
  return { ...io, err() {}, status() {} };
}
