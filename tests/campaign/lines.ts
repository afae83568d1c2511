/**
 * Splits a stream of text into lines, and the loop of a worker that answers lines.
 * @module
 */

/** Cuts text at line ends. */
export function lineStream(): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(piece, controller) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      for (const line of lines) controller.enqueue(line);
    },
    flush(controller) {
      if (rest !== "") controller.enqueue(rest);
    },
  });
}

/** Answers each task on stdin with `work` of it on stdout, until stdin ends. */
export async function answerTasks<T>(
  work: (task: T) => Promise<unknown>,
): Promise<void> {
  const lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(lineStream());
  for await (const line of lines) {
    console.log(JSON.stringify(await work(JSON.parse(line) as T)));
  }
}
