/**
 * `bench`: measures the kernels and a model from photo to caption.
 * @module
 */
import process from "node:process";
import { benchKernels, benchTable } from "../kernels/bench.ts";
import { open } from "../mod.ts";
import type { KernelTime, Session } from "../mod.ts";
import { command } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";
import type { Io } from "./io.ts";
import { BUNDLE, MODEL_OPTION, modelPath } from "./model_path.ts";
import { progress } from "./progress.ts";
import { bytes, table } from "./table.ts";

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

/** Time of opening a model in ms, and memory of the process in bytes. */
interface Opening {
  readonly loadMs: number;
  /** From `open` to the first token of the first caption. */
  readonly firstTokenMs: number;
  /** Peak memory until the model is open, and memory while it captions. */
  readonly peak: number;
  readonly steady: number;
}

export default command({
  name: "bench",
  summary: "benchmark the kernels and a model",
  operands: "",
  arity: [0, 0],
  options: {
    model: MODEL_OPTION,
    threads: { type: "integer", help: "number of threads", min: 1, max: 64 },
    rounds: {
      type: "integer",
      help: "number of rounds; the median is printed",
      min: 1,
      max: 1000,
      default: 7,
    },
    only: {
      type: "string",
      value: "NAME",
      help: "only kernels whose name contains NAME; no captions",
    },
    profile: {
      type: "boolean",
      help: "print the time of a caption per kernel instead",
    },
    json: { type: "boolean", help: "print one JSON object" },
  },
  notes:
    "The clock row times a loop that only counts, in the same rounds; it shows how busy the machine is.",
  permissions: "--allow-read",
  async run(_, values, io) {
    const { model, threads, rounds, only, profile, json } = values;
    if (profile) {
      const { kernels, totalMs } = await withSession(
        model,
        threads,
        io,
        async (session, photo) => {
          await session.caption(photo, { signal: io.signal }); // warms up
          return await session.profile(() =>
            session.caption(photo, { signal: io.signal })
          );
        },
      );
      io.out(
        json
          ? `${JSON.stringify({ kernels, totalMs })}\n`
          : profileText(kernels, totalMs),
      );
      return EXIT.ok;
    }
    // First: what the kernels are measured on is more memory than a model takes.
    const measured = only === undefined
      ? await withSession(
        model,
        threads,
        io,
        (session, photo) => captionTimes(session, photo, rounds, io),
      )
      : undefined;
    io.status("kernels …");
    const kernels = benchKernels({ rounds, ...(only ? { only: [only] } : {}) });
    if (kernels.measurements.length === 0) {
      throw new UsageError(
        `Cannot bench --only ${
          JSON.stringify(only)
        }: no kernel name contains it; run without --only to list all names`,
      );
    }
    if (!json) io.out(`${benchTable(kernels).trimEnd()}\n`);
    if (json) io.out(`${JSON.stringify({ kernels, ...measured })}\n`);
    else if (measured) {
      const { caption, opening } = measured;
      io.out(`\n${captionText(caption, rounds)}\n${openingText(opening)}`);
    }
    return EXIT.ok;
  },
});

async function withSession<T>(
  model: string | undefined,
  threads: number | undefined,
  io: Io,
  work: (session: Session, photo: Uint8Array) => Promise<T>,
): Promise<T> {
  const photo = Deno.readFileSync(PHOTO);
  await using session = await open(modelPath(model), {
    ...(threads === undefined ? {} : { threads }),
    signal: io.signal,
  });
  return await work(session, photo);
}

function profileText(kernels: readonly KernelTime[], totalMs: number): string {
  const rest = totalMs - kernels.reduce((sum, k) => sum + k.ms, 0);
  const row = (name: string, calls: string, ms: number) => [
    name,
    calls,
    `${ms.toFixed(1)} ms`,
    `${(100 * ms / totalMs).toFixed(1)} %`,
  ];
  return table([
    ["kernel", "calls", "time", "share"],
    ...kernels.map((k) => row(k.kernel, String(k.calls), k.ms)),
    row("all else", "", rest),
    row("one caption", "", totalMs),
  ]);
}

async function captionTimes(
  session: Session,
  photo: Uint8Array,
  rounds: number,
  io: Io,
): Promise<{ caption: Times; opening: Opening }> {
  const peak = process.resourceUsage().maxRSS * 1024;
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
  const { loadMs } = session.info, [{ imageMs, visionMs, prefillMs }] = all;
  const steady = Deno.memoryUsage().rss;
  const opening = {
    loadMs,
    firstTokenMs: loadMs + imageMs + visionMs + prefillMs,
    peak,
    steady,
  };
  const caption = {
    imageMs: median("imageMs"),
    visionMs: median("visionMs"),
    prefillMs: median("prefillMs"),
    decodeMs: median("decodeMs"),
    tokens: median("tokens"),
    promptTokens: median("promptTokens"),
  };
  return { caption, opening };
}

function openingText({ loadMs, firstTokenMs, peak, steady }: Opening): string {
  const ms = (x: number) => `${x.toFixed(0)} ms`;
  return table([
    ["opening, once", ""],
    ["open the model", ms(loadMs)],
    ["from there to the first token", ms(firstTokenMs)],
    [
      "peak memory, of that while captioning",
      `${bytes(peak)}, ${(100 * peak / steady).toFixed(0)} %`,
    ],
  ]);
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
