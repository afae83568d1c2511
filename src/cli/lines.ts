/**
 * Lines of a byte stream, as a person or a pipe writes them.
 * @module
 */

/** Longest line that is taken, in characters. */
export const LONGEST_LINE = 100_000;

/** The lines of `bytes`, without their ends; the last needs none. Throws where one is too long. */
export async function* lines(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let rest = "";
  for await (const text of bytes.pipeThrough(new TextDecoderStream())) {
    rest += text;
    const whole = rest.split(/\r?\n/);
    rest = whole.pop()!;
    yield* whole;
    if (rest.length > LONGEST_LINE) {
      throw new RangeError(
        `Cannot read a line: it has more than ${LONGEST_LINE} characters; check that the input is text`,
      );
    }
  }
  if (rest !== "") yield rest;
}
