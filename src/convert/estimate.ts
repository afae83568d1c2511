/**
 * Estimates the time of quantization: multiply–adds from the graph, divided by the
 * measured speed of this machine.
 * @module
 */
import type { Engine } from "../quantize/quantize.ts";
import type { LinearNode, Model } from "../graph/node.ts";
import { rowsPerImage, rowsPerImageOf } from "../graph/node.ts";
import { startFloat32Engine } from "../float/engine.ts";
import { QUANTIZE_DEFAULTS } from "./options.ts";

/** Number of photos or text windows, and tokens of an answer. */
type Calibration = Record<"samples" | "answerTokens", number>;

/** Tokens of a question and of the template around it; of a text window. */
const QUESTION = 40, WINDOW = 256;

/**
 * Time of clip search, transforms and rounding of one weight in JavaScript, 0.9 µs,
 * in multiply–adds of a matmul on two threads (measured on the bundled model and
 * those of docs/results.md).
 */
const PER_WEIGHT = 12_000;

/**
 * Work of quantizing a transformed model with `w4a8` in multiply–adds: float answers,
 * the run over all samples, output errors, Hessians (rows·k²/2), their factors (k³/3),
 * GPTQ (n·k²/2), and other work of equal time. Attention is left out.
 */
export function quantizeWork(
  { nodes, info }: Model,
  { samples, answerTokens }: Calibration = QUANTIZE_DEFAULTS,
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

/** Seconds that `work` multiply–adds take on this machine; measures for a quarter of a second. */
export async function secondsFor(
  work: number,
  threads?: number,
): Promise<number> {
  using engine = await startFloat32Engine(threads);
  return work / matmulSpeed(engine);
}

/** Multiply–adds per second of a matmul: the best of several runs. */
function matmulSpeed(engine: Engine): number {
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
