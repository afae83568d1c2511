/**
 * `deno task bench:peers`: this engine and its peers on the same shapes with
 * random weights, by turns in one process. Peers come from npm, pinned in
 * llama.ts and ort.ts; nothing else in the project knows them.
 *
 *     deno task bench:peers [--only TEXT] [--threads 1,2] [--rounds 5] [--json] [--keep FILE]
 *
 * `--keep docs/reports/peers.json` puts the rows into that report, in the place
 * of what they measure anew; `deno task docs` makes the tables of README.md and
 * docs/performance.md of it.
 *
 * What is not equal: Q4_0 has a scale for each 32 weights and takes the scales
 * of its activations as they come, this engine has one scale per channel and
 * static ones. The embedding, which is the head too, is 4 bits there; here it is
 * 8, as recipes have it, and for single tokens 4 as well, the equal comparison.
 * Only speed is compared, not what a model would say.
 * @module
 */
import { parseArgs } from "node:util";
import { table } from "../src/cli/table.ts";
import { imageInfoOf } from "../src/graph/info.ts";
import type { Engine } from "../src/execute/engine.ts";
import { transformed } from "../tests/models/real.ts";
import { thisCpu } from "./cpu.ts";
import { writeGguf } from "./gguf.ts";
import { type Contestant, interleave, type Rates } from "./interleave.ts";
import { type Llama, type LlamaCpp, llamaCpp } from "./llama.ts";
import { encoder, matMulInteger, matMulNBits } from "./onnx.ts";
import { type OnnxRuntime, onnxRuntime } from "./ort.ts";
import { openOurs, product } from "./ours.ts";
import { allCells, keepRows, type Row } from "./report.ts";
import {
  PRODUCTS,
  SIGLIP,
  SIGLIP_OF,
  SIGLIP_TEXT,
  TEXT,
  type TextShape,
} from "./shapes.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    only: { type: "string", default: "" },
    threads: { type: "string", default: "1,2" },
    rounds: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
    keep: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const threadCounts = values.threads.split(",").map(Number);
const rows: Row[] = [];
const { cpu } = thisCpu();
const folder = Deno.makeTempDirSync({ prefix: "mquant-peers-" });

const wanted = (shape: string) => shape.includes(values.only);

function note(
  shape: string,
  workload: string,
  threads: number,
  unit: string,
  [ours, ...peers]: Rates[],
): void {
  for (const p of peers) {
    const row: Row = {
      shape,
      workload,
      threads,
      unit,
      ours: ours.median,
      peer: p.median,
      oursBest: ours.best,
      peerBest: p.best,
      peerName: p.name,
      ratio: ours.median / p.median,
      rounds: p.rounds,
      at: new Date().toISOString().slice(0, 16),
      cpu,
    };
    rows.push(row);
    console.error(
      `${shape} ${workload}, ${threads} threads: ${
        row.ours.toFixed(1)
      } ${unit}, ${p.name} ${p.median.toFixed(1)}, ratio ${
        row.ratio.toFixed(2)
      }`,
    );
  }
}

/** What both sides do from an empty cache. */
interface Work {
  readonly name: string;
  /** Tokens, or what else is counted, a run. */
  readonly units: number;
  readonly unit: string;
  /** Bits of our heads, each a row of its own; 8 where nothing is said. */
  readonly heads?: readonly number[];
  ours(engine: Engine): Promise<unknown>;
  peer(peer: Llama): unknown;
}

const headsOf = ({ heads = [8] }: Work) => heads;

const ids = (count: number) =>
  Array.from({ length: count }, (_, i) => 100 + (i * 7919) % 40000);

/** A prompt of `count` text tokens. */
function prompt(count: number): Work {
  const some = ids(count);
  return {
    name: `pp${count}`,
    units: count,
    unit: "tokens/s",
    ours: (engine) => engine.prefill(some),
    peer: (peer) => peer.decode(some),
  };
}

/** Tokens one by one. */
function tokens(count: number): Work {
  return {
    name: `tg${count}`,
    units: count,
    unit: "tokens/s",
    heads: [8, 4],
    async ours(engine) {
      for (const id of ids(count)) await engine.decode(id);
    },
    peer(peer) {
      for (const id of ids(count)) peer.decode([id]);
    },
  };
}

/** This engine and llama.cpp on a text tower, work after work. */
async function text(
  shape: TextShape,
  threads: number,
  cpp: LlamaCpp,
  works: readonly Work[],
): Promise<void> {
  const path = `${folder}/${shape.name}.gguf`;
  writeGguf(path, shape);
  await using opened = new AsyncDisposableStack();
  const engines = new Map<number, Engine>();
  for (const head of new Set(works.flatMap(headsOf))) {
    const engine = await openOurs(shape.name, folder, threads, { head });
    engines.set(head, opened.use(engine));
  }
  // Flash attention is faster for some workloads and slower for others: both take part.
  using plain = cpp.open(path, threads, false);
  using flash = cpp.open(path, threads, true);
  for (const work of works) {
    const llama = (peer: Llama, name: string): Contestant => ({
      name,
      run() {
        peer.clear();
        return work.peer(peer);
      },
      awake: (yes) => peer.awake(yes),
    });
    const ours = headsOf(work).map((head): Contestant => ({
      name: head === 8 ? "" : `, head of ${head} bits`,
      run() {
        const engine = engines.get(head)!;
        engine.reset();
        return work.ours(engine);
      },
    }));
    const rates = await interleave(
      [
        ...ours,
        llama(plain, cpp.name),
        llama(flash, `${cpp.name}, flash attention`),
      ],
      work.units,
      rounds,
    );
    const [without, withFlash] = rates.splice(-2);
    const faster = without.median > withFlash.median ? without : withFlash;
    for (const mine of rates) {
      const name = `${work.name}${mine.name}`;
      note(shape.name, name, threads, work.unit, [mine, faster]);
    }
  }
  Deno.removeSync(path);
}

/**
 * A picture in one tile and a short question, the prompt of docs/models.md: its
 * rows and text as a prompt, tokens behind it, and all up to the first token,
 * the tower included, where the peer has no tower and does the prompt alone.
 */
function captioning(): Work[] {
  const { tokenId, tokens: rows } = imageInfoOf(transformed(SIGLIP_OF).info);
  const inPrompt = prompt(142), tile = image();
  const mixed = ids(142).map((id, i) => i >= 4 && i < 4 + rows ? tokenId : id);
  let seen: Float32Array = new Float32Array(rows * SIGLIP_TEXT.dim);
  return [
    {
      ...inPrompt,
      name: `prompt of 142, ${rows} of them the picture's`,
      ours: (engine) => engine.prefill(mixed, seen),
    },
    tokens(64),
    {
      ...inPrompt,
      name: "first token; the peer without tower",
      units: 1,
      unit: "/s",
      async ours(engine) {
        seen = await engine.encode(tile);
        await engine.prefill(mixed, seen);
      },
    },
  ];
}

/** A picture of the tower's size. */
function image() {
  const { side } = SIGLIP;
  const data = new Uint8Array(side ** 2 * 3).map((_, i) => i * 37);
  return { width: side, height: side, data };
}

/** Single matmuls: 4 bits from float to float, 8 bits from quantized values. */
async function products(
  threads: number,
  runtimes: readonly OnnxRuntime[],
): Promise<void> {
  for (const shape of PRODUCTS) {
    const [m, k, n] = shape;
    for (const bits of [4, 8] as const) {
      const model = bits === 4
        ? matMulNBits(m, k, n, 32)
        : matMulInteger(m, k, n);
      const peers = await Promise.all(runtimes.map(async (r) => {
        const s = await r.open(model, 1, bits === 4 ? "float32" : "uint8", [
          m,
          k,
        ]);
        return { name: r.name, ...s };
      }));
      const ours = { name: "mquant", run: product(bits, shape, bits === 8) };
      const rates = await interleave([ours, ...peers], 2 * m * k * n / 1e9, 7);
      note(
        `${m}×${k}→${n}`,
        bits === 4 ? "4-bit matmul" : "8-bit matmul",
        threads,
        "GOPS",
        rates,
      );
      for (const p of peers) await p.close();
    }
  }
}

/** One image through the tower. */
async function vision(
  threads: number,
  runtimes: readonly OnnxRuntime[],
): Promise<void> {
  const patches = (SIGLIP.side / SIGLIP.patch) ** 2;
  const model = encoder(SIGLIP), pixels = 3 * SIGLIP.patch ** 2;
  for (const bits of [4, 8] as const) {
    await using engine = await openOurs(SIGLIP_OF, folder, threads, { bits });
    const tile = image();
    const peers = await Promise.all(runtimes.map(async (r) => {
      const s = await r.open(model, threads, "float32", [patches, pixels]);
      return { name: `${r.name}, int8`, ...s };
    }));
    const ours = {
      name: `mquant w${bits}a8`,
      run: () => engine.encode(tile),
    };
    const rates = await interleave([ours, ...peers], 1, Math.min(rounds, 3));
    note(SIGLIP.name, `image, w${bits}a8`, threads, "images/s", rates);
    for (const p of peers) await p.close();
  }
}

try {
  const cpp = await llamaCpp();
  for (const shape of TEXT) {
    if (!wanted(shape.name)) continue;
    for (const threads of threadCounts) {
      await text(shape, threads, cpp, [prompt(128), prompt(512), tokens(64)]);
    }
  }
  for (const threads of wanted(SIGLIP_OF) ? threadCounts : []) {
    await text(SIGLIP_TEXT, threads, cpp, captioning());
  }
  const web = await onnxRuntime("onnxruntime-web");
  const native = await onnxRuntime("onnxruntime-node");
  if (wanted("products")) await products(1, [web, native]);
  for (const threads of threadCounts) {
    if (!wanted(SIGLIP.name)) continue;
    await vision(threads, threads === 1 ? [web, native] : [native]);
  }
} finally {
  Deno.removeSync(folder, { recursive: true });
}

if (values.keep) keepRows(values.keep, rows);
if (values.json) console.log(JSON.stringify(rows, null, 1));
else console.log(table(allCells(rows)));
