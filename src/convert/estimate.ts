/**
 * How long quantizing takes: multiply–adds that follow from the graph, and how
 * many of them this machine does in a second.
 * @module
 */
import type { Engine } from "../quantize/quantize.ts";
import type { LinearNode, Model } from "../graph/node.ts";
import { rowsPerImage, rowsPerImageOf } from "../graph/node.ts";
import { startFloat32Engine } from "../float/engine.ts";

/** What calibration reads. */
export interface Calibration {
  /** Photos or windows. */
  readonly samples: number;
  /** Tokens of an answer. */
  readonly answerTokens: number;
}

/** Calibration by default. */
export const CALIBRATION: Calibration = { samples: 128, answerTokens: 32 };

/** Tokens of a question and of the template around it; of a text window. */
const QUESTION = 40, WINDOW = 256;

/**
 * Search of the clip, transforms and rounding of one weight, which are
 * JavaScript: 0.9 µs, as long as so many multiply–adds of a product on two
 * threads (the bundled model, and those of docs/results.md).
 */
const PER_WEIGHT = 12_000;

/**
 * Multiply–adds of quantizing a transformed model with `w4a8`: float answers, the
 * walk over all samples, its errors, Hessians (rows·k²/2), their factors (k³/3)
 * and GPTQ (n·k²/2), and what takes as long as so many. Attention is left out.
 */
export function quantizeWork(
  { nodes, info }: Model,
  { samples, answerTokens }: Calibration = CALIBRATION,
): number {
  const linears = nodes.filter((n): n is LinearNode => n.op === "linear");
  const prompt = info.image ? info.image.tokens + QUESTION : WINDOW;
  const patches = info.image ? rowsPerImage(nodes, info) : 0;
  const answer = info.image ? answerTokens : 0;
  const rowsOf = (node: LinearNode) =>
    node.phase === "text"
      ? prompt + answer
      : rowsPerImageOf(nodes, node.id) ?? patches;
  let forward = 0, once = 0;
  const inputs = new Map<string, { rows: number; k: number }>();
  for (const node of linears) {
    const { n, k, x } = node, rows = rowsOf(node);
    forward += rows * n * k;
    once += n * k * (k / 2 + PER_WEIGHT);
    inputs.set(x, { rows, k });
  }
  for (const { rows, k } of inputs.values()) {
    once += k ** 3 / 3 + samples * rows * k * k / 2;
  }
  return once + samples * forward * (1 + 1 + 1 / 3);
}

/** Seconds that so many multiply–adds of quantizing take here; measures for a quarter of a second. */
export async function secondsFor(
  work: number,
  threads?: number,
): Promise<number> {
  using engine = await startFloat32Engine(threads);
  return work / pace(engine);
}

/** Multiply–adds per second of a product: the best of several. */
function pace(engine: Engine): number {
  const m = 256, k = 1024, n = 1024;
  const x = engine.zeros(m * k).fill(1), w = engine.zeros(n * k).fill(1);
  let best = Infinity;
  for (const end = performance.now() + 250; performance.now() < end;) {
    const start = performance.now();
    engine.matmul(x, m, k, w, n);
    best = Math.min(best, performance.now() - start);
  }
  return m * k * n / best * 1000;
}
