/**
 * Perplexity of a text under a model file and its float checkpoint.
 * @module
 */
import {
  engineNll,
  interpreterNll,
  type NegLogLikelihood,
  perplexity,
  windowsOf,
} from "../evaluate/perplexity.ts";
import type { Loaded } from "../graph/run.ts";
import type { Engine } from "../execute/engine.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Io } from "./io.ts";
import type { Journal } from "./journal.ts";
import { progress } from "./progress.ts";

/** Tokens of a window, if the model has as many positions. */
const WINDOW = 256;

/** Perplexity of both models on the same windows. */
export interface TextResult {
  readonly float: number | null;
  readonly quantized: number;
  /** Tokens predicted. */
  readonly tokens: number;
}

/** Computes the perplexity on the first `count` windows of the text at `path`. */
export async function textResult(
  path: string,
  count: number,
  tokenizer: Tokenizer,
  runtime: Engine,
  float: Loaded | undefined,
  journal: Journal<NegLogLikelihood>,
  io: Io,
): Promise<TextResult> {
  const length = Math.min(WINDOW, runtime.plan.context);
  const text = Deno.readTextFileSync(path);
  const ids = tokenizer.encode(text, { special: false });
  if (ids.length < length) {
    throw new RangeError(
      `Cannot read ${
        JSON.stringify(path)
      }: it must have at least ${length} tokens: it has ${ids.length}; give a longer text`,
    );
  }
  const whole = Math.min(count, Math.floor(ids.length / length));
  const windows = windowsOf(ids, length, whole);
  const line = progress(io, "text", whole);
  const ours: NegLogLikelihood[] = [], theirs: NegLogLikelihood[] = [];
  for (const [i, ids] of windows.entries()) {
    const once = async (
      item: string,
      read: () => NegLogLikelihood | Promise<NegLogLikelihood>,
    ) => {
      const name = `${item} ${i} ${ids.join("-")}`;
      if (!journal.get(name)) journal.add(name, await read());
      return journal.get(name)!;
    };
    ours.push(await once("text", () => engineNll(runtime, ids)));
    if (float) {
      theirs.push(await once("float text", () => interpreterNll(float, ids)));
    }
    line.at(i + 1);
    await new Promise((turn) => setTimeout(turn)); // Ctrl-C is heard here
    io.signal.throwIfAborted();
  }
  line.end();
  return {
    float: float ? perplexity(theirs) : null,
    quantized: perplexity(ours),
    tokens: ours.reduce((sum, s) => sum + s.tokens, 0),
  };
}
