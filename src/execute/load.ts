/**
 * Loads a model file into WebAssembly memory: constants as the plan computes
 * them; weights are streamed through the memory of the activations, so loading
 * needs no more memory than running.
 * @module
 */
import { quoted } from "../format/error.ts";
import { groupScale } from "../graph/names.ts";
import { panelScales, scaleBytes, valueBytes } from "../kernels/layout.ts";
import type { Kernels } from "../kernels/signatures/mod.ts";
import { soon } from "../platform/platform.ts";
import { MOST_GROUP } from "../kernels/layout.ts";
import {
  type Buffer,
  packedBytes,
  type Packing,
  type WeightPart,
} from "../plan/buffer.ts";
import { RuntimeError } from "../graph/error.ts";
import type { MemoryLayout } from "../plan/memories.ts";
import type { Plan } from "../plan/plan.ts";
import type { StaticModel } from "../graph/static_model.ts";
import type { MemoryView } from "./run_steps.ts";

/** Most bytes of weights that are read and packed at once. */
const BLOCK_BYTES = 4 << 20;

/** Loads all persistent buffers of a plan. `signal` is checked after each buffer. */
export async function load(
  model: StaticModel,
  plan: Plan,
  views: readonly MemoryView[],
  signal?: AbortSignal,
): Promise<void> {
  for (const b of plan.persistent) {
    const { memory = 0 } = b, { buffer, kernels } = views[memory];
    const bytes = new Uint8Array(buffer), { staging } = plan.memories[memory];
    if (b.fill) fill(bytes, b, b.fill());
    else if (b.weights) {
      for (const part of b.weights.parts) {
        pack(model, staging, bytes, kernels, b.weights.packing, part, b.at);
      }
    }
    if (signal) {
      // Not setTimeout: it takes 2 ms for each of hundreds of buffers.
      await new Promise<void>((done) => soon(done));
      signal.throwIfAborted();
    }
  }
}

function fill(bytes: Uint8Array, b: Buffer, values: ArrayBufferView): void {
  if (values.byteLength > b.bytes) {
    throw new RuntimeError(
      "plan",
      `Cannot load ${
        quoted(b.name)
      }: it must have ${b.bytes} bytes: it has ${values.byteLength}`,
    );
  }
  bytes.set(
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    b.at,
  );
}

/** Reads a weight in blocks of whole panels and packs it. */
function pack(
  model: StaticModel,
  staging: MemoryLayout["staging"],
  bytes: Uint8Array,
  kernels: Kernels,
  packing: Packing,
  { tensor, n, k, offset }: WeightPart,
  at: number,
): void {
  const { bits, group } = packing, stored = model.file.tensor(tensor);
  const storedBits = model.bits.get(tensor)!; // 5 to 7 are packed as 8
  const perPanel = valueBytes(bits, 8, k);
  const grouped = group === undefined ? undefined : {
    scales: scalesOf(model, tensor),
    count: k / group,
    bytes: scaleBytes(k, group),
  };
  const packed = packedBytes(packing, 8, k);
  const panels = Math.max(
    1,
    Math.floor(Math.min(staging.bytes, BLOCK_BYTES) / perPanel),
  );
  const packer = kernels[`pack_w${bits}`];
  for (let row = 0; row < n; row += panels * 8) {
    const rows = Math.min(n - row, panels * 8);
    const values = bytes.subarray(
      staging.at,
      staging.at + valueBytes(bits, rows, k),
    );
    stored.readSlice(row / 8 * perPanel, values);
    if (storedBits < 8 && storedBits > 4) {
      checkRange(values, storedBits, tensor);
    }
    const to = at + offset + row / 8 * packed;
    if (!grouped) {
      packer(staging.at, to, rows, k);
      continue;
    }
    for (let r = 0; r < rows; r += 8) { // per panel: scales, then values
      const panel = to + r / 8 * packed, values = staging.at + r / 8 * perPanel;
      bytes.set(panelScales(grouped.scales, row + r, grouped.count), panel);
      packer(values, panel + grouped.bytes, Math.min(8, rows - r), k);
    }
  }
}

/**
 * Integer group scales of a weight, [n, k/group].
 * @throws {RuntimeError} if one is not 1 to 15
 */
function scalesOf({ file }: StaticModel, tensor: string): Uint8Array {
  const scales = file.tensor(groupScale(tensor)).read() as Uint8Array;
  const bad = scales.findIndex((s) => s < 1 || s > MOST_GROUP);
  if (bad < 0) return scales;
  throw new RuntimeError(
    "values",
    `Cannot load ${
      quoted(tensor)
    }: the scales of its groups must be from 1 to ${MOST_GROUP}: scale ${bad} is ${
      scales[bad]
    }`,
  );
}

function checkRange(values: Uint8Array, bits: number, tensor: string): void {
  const shift = 1 << (bits - 1), top = 256 - (1 << bits);
  for (let i = 0; i < values.length; i++) {
    if (((values[i] + shift) & top) !== 0) {
      throw new RuntimeError(
        "values",
        `Cannot load ${quoted(tensor)}: its values must be from ${-shift} to ${
          shift - 1
        }: current value is ${values[i] << 24 >> 24}`,
      );
    }
  }
}
