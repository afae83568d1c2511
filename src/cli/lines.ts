/**
 * Splits a byte stream into lines.
 * @module
 */

/** Maximum characters of a line. */
export const LONGEST_LINE = 100_000;

/**
 * The lines of `bytes` without line ends; the last needs none.
 * @throws {RangeError} if a line is too long
 */
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
