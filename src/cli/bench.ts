/**
 * `bench`: the kernels, and the bundled model from photo to caption.
 * @module
 */
import { open } from "../mod.ts";
import { command } from "./command.ts";
import { EXIT } from "./errors.ts";
import type { Io } from "./io.ts";
import { BUNDLE, MODEL_OPTION, modelPath } from "./model_path.ts";
import { progress } from "./progress.ts";
import { table } from "./table.ts";

const PHOTO = new URL("photos/photographer.jpg", BUNDLE);

/** Times of one caption, milliseconds. */
interface Times {
  readonly imageMs: number;
  readonly visionMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  readonly tokens: number;
  readonly promptTokens: number;
}

export default command({
  name: "bench",
  summary: "measure the kernels and the bundled model",
  operands: "",
  arity: [0, 0],
  options: {
    model: MODEL_OPTION,
    threads: { type: "integer", help: "threads", min: 1, max: 64 },
    rounds: {
      type: "integer",
      help: "captions to take the median of",
      min: 1,
      max: 1000,
      default: 7,
    },
    profile: { type: "boolean", help: "only the kernels, each in detail" },
    json: { type: "boolean", help: "one JSON object" },
  },
  permissions: "--allow-read",
  async run(_, values, io) {
    const caption = values.profile ? undefined : await captionTimes(
      modelPath(values.model),
      values.threads,
      values.rounds,
      io,
    );
    if (values.json) {
      io.out(`${JSON.stringify({ caption })}\n`);
      return EXIT.ok;
    }
    if (caption) io.out(captionText(caption, values.rounds));
    return EXIT.ok;
  },
});

async function captionTimes(
  path: string,
  threads: number | undefined,
  rounds: number,
  io: Io,
): Promise<Times> {
  const photo = Deno.readFileSync(PHOTO);
  await using session = await open(path, {
    ...(threads === undefined ? {} : { threads }),
    signal: io.signal,
  });
  const line = progress(io, "caption", rounds + 1);
  const all: Times[] = [];
  for (let i = 0; i <= rounds; i++) {
    const { timings, tokens, promptTokens } = await session.caption(photo, {
      temperature: 0,
      signal: io.signal,
    });
    all.push({ ...timings, tokens: tokens.length, promptTokens });
    line.at(i + 1);
  }
  line.end();
  const median = (key: keyof Times) => {
    const sorted = all.slice(1).map((t) => t[key]).sort((a, b) => a - b);
    return sorted[sorted.length >> 1]; // the first round warms up
  };
  return {
    imageMs: median("imageMs"),
    visionMs: median("visionMs"),
    prefillMs: median("prefillMs"),
    decodeMs: median("decodeMs"),
    tokens: median("tokens"),
    promptTokens: median("promptTokens"),
  };
}

function captionText(t: Times, rounds: number): string {
  const ms = (x: number) => `${x.toFixed(1)} ms`;
  return table([
    ["one caption", "median", `of ${rounds}`],
    ["decode and resize the photo", ms(t.imageMs), ""],
    ["vision tower", ms(t.visionMs), ""],
    ["prompt", ms(t.prefillMs), `${t.promptTokens} tokens`],
    [
      "answer",
      ms(t.decodeMs),
      `${t.tokens} tokens, ${
        (t.tokens / t.decodeMs * 1000).toFixed(0)
      } a second`,
    ],
  ]);
}
