/**
 * One answer, from a prompt to text.
 * @module
 */
import type { Engine } from "../execute/engine.ts";
import type { Grid } from "../graph/grid.ts";
import { imageInfoOf } from "../graph/info.ts";
import type { StaticModel } from "../graph/static_model.ts";
import type { Finish, Result } from "./answer.ts";
import type { Assets } from "./assets.ts";
import { chooser } from "./choose.ts";
import { towerTiles } from "./picture.ts";
import type { Job } from "./prepare.ts";
import type { ImageCache } from "./image_cache.ts";
import { stopScanner } from "./stop.ts";

/** Times of a request before any work. */
const timingsAfter = (queueMs: number) => ({
  queueMs,
  imageMs: 0,
  visionMs: 0,
  prefillMs: 0,
  decodeMs: 0,
});

/** The result of a request that was cancelled while it waited. */
export function cancelledResult(promptTokens: number, queueMs: number): Result {
  return {
    text: "",
    tokens: [],
    finish: "aborted",
    timings: timingsAfter(queueMs),
    promptTokens,
    cachedTokens: 0,
  };
}

/** Runs a request on an engine that is not in use. */
export async function run(
  job: Job,
  model: StaticModel,
  assets: Assets,
  engine: Engine,
  cache: ImageCache | undefined,
  show: (piece: string) => void,
  signal: AbortSignal,
  queueMs: number,
): Promise<Result> {
  const { ids, progress, most } = job, { tokenizer, stopIds } = assets;
  const choose = chooser(job.choice, assets);
  const timings = timingsAfter(queueMs);
  const clock = stopwatch(timings);
  const text = stopScanner(job.stops), stream = tokenizer.decodeStream();
  const tokens: number[] = [];
  let cachedTokens = 0, shown = "", finish: Finish = "length";
  const say = (piece: string) => {
    // models begin with the blank that follows "Assistant:"
    const text = shown === "" ? piece.trimStart() : piece;
    shown += text;
    if (text !== "") show(text);
  };
  try {
    const { rows, grids } = await imageRows(
      job,
      model,
      assets,
      engine,
      cache,
      signal,
      clock,
    );
    progress("prefill", 0, ids.length);
    const all = joined(rows);
    if (!cache) engine.reset();
    cachedTokens = engine.rewind(ids, all, grids);
    const rest = all.subarray(engine.rowsOf(ids.slice(0, cachedTokens)));
    let id = choose.next(
      await engine.prefill(ids.slice(cachedTokens), rest, signal, grids),
      most,
    );
    clock("prefillMs");
    progress("prefill", ids.length, ids.length);
    while (true) {
      if (stopIds.has(id)) {
        finish = "stop";
        break;
      }
      tokens.push(id);
      choose.accept(id);
      say(text.push(stream.push(id)));
      progress("decode", tokens.length, most);
      if (text.stopped || choose.ended) {
        finish = "stop";
        break;
      }
      if (tokens.length === most) {
        if (choose.whole) finish = "stop";
        break;
      }
      const logits = await engine.decode(id, signal);
      id = choose.next(logits, most - tokens.length);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    finish = "aborted";
  }
  if (tokens.length > 0) clock("decodeMs");
  say(text.push(stream.end()) + text.end());
  return {
    text: shown,
    tokens,
    finish,
    timings,
    promptTokens: ids.length,
    cachedTokens,
    ...(job.choice.logprobs === undefined ? {} : { logprobs: choose.logprobs }),
  };
}

/** Rows of all images of a request, and their grids; calls `clock` at the end of each stage. */
async function imageRows(
  { images, tiles, progress }: Job,
  model: StaticModel,
  { image }: Assets,
  engine: Engine,
  cache: ImageCache | undefined,
  signal: AbortSignal,
  clock: (stage: "imageMs" | "visionMs") => void,
): Promise<{ rows: Float32Array[]; grids: Grid[] }> {
  const rows: Float32Array[] = [], grids: Grid[] = [];
  for (const [i, input] of images.entries()) {
    progress("image", i, images.length);
    signal.throwIfAborted();
    const picture = tiles?.[i] ??
      await towerTiles(input, image!, imageInfoOf(model.info));
    clock("imageMs");
    progress("vision", i, images.length);
    for (const tile of picture.tiles) {
      const encode = () => engine.encode(tile, signal);
      rows.push(await (cache ? cache.rows(tile, encode) : encode()));
    }
    grids.push(...picture.grids);
    clock("visionMs");
  }
  return { rows, grids };
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(rows.reduce((n, r) => n + r.length, 0));
  let at = 0;
  for (const r of rows) all.set(r, at), at += r.length;
  return all;
}

/** Adds the time since its last call to a part. */
function stopwatch<K extends string>(
  times: Record<K, number>,
): (part: K) => void {
  let last = performance.now();
  return (part) => {
    const now = performance.now();
    times[part] += now - last;
    last = now;
  };
}
