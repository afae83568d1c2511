/**
 * Writes a folder of many different photos, cut from the sample photos, for tests of
 * large folders. `deno run --allow-read
 * --allow-write=FOLDER tools/crops.ts FOLDER COUNT`
 * @module
 */
import { crc32, deflateSync } from "node:zlib";
import { decode } from "../src/image/decode.ts";
import type { Image } from "../src/image/image.ts";
import { random, uniform } from "../src/tensor/random.ts";

const SAMPLES = new URL("../models/photo-mini/photos/", import.meta.url);
const SIDE = 224;

/** The square of `SIDE` pixels at (x, y). */
function crop({ width, data }: Image, x: number, y: number): Uint8Array {
  const out = new Uint8Array(SIDE * SIDE * 3);
  for (let row = 0; row < SIDE; row++) {
    const from = ((y + row) * width + x) * 3;
    out.set(data.subarray(from, from + SIDE * 3), row * SIDE * 3);
  }
  return out;
}

/** RGB bytes of a square as a PNG file. */
export function png(rgb: Uint8Array, side: number): Uint8Array<ArrayBuffer> {
  const chunk = (type: string, data: Uint8Array) => {
    const named = Uint8Array.from([...new TextEncoder().encode(type), ...data]);
    return [...u32(data.length), ...named, ...u32(crc32(named))];
  };
  const lines = new Uint8Array(side * (1 + side * 3)); // filter 0, then pixels
  for (let y = 0; y < side; y++) {
    const row = rgb.subarray(y * side * 3, (y + 1) * side * 3);
    lines.set(row, y * (1 + side * 3) + 1);
  }
  const header = Uint8Array.from([...u32(side), ...u32(side), 8, 2, 0, 0, 0]);
  return Uint8Array.from([
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...chunk("IHDR", header),
    ...chunk("IDAT", deflateSync(lines, { level: 1 })),
    ...chunk("IEND", new Uint8Array(0)),
  ]);
}

const u32 = (n: number) => [n >>> 24, n >>> 16 & 255, n >>> 8 & 255, n & 255];

if (import.meta.main) {
  const [folder, count] = [Deno.args[0], Number(Deno.args[1])];
  if (!folder || !Number.isInteger(count) || count < 1 || count > 9999) {
    console.error("Usage: crops.ts FOLDER COUNT; COUNT is from 1 to 9999");
    Deno.exit(2);
  }
  const next = random(7);
  const samples = await Promise.all(
    ["astronaut", "cat", "photographer"].map(async (name) =>
      await decode(await Deno.readFile(new URL(`${name}.jpg`, SAMPLES)))
    ),
  );
  await Deno.mkdir(folder, { recursive: true });
  for (let i = 0; i < count; i++) {
    const image = samples[i % samples.length];
    const [x, y] = [image.width, image.height]
      .map((side) => Math.floor(uniform(next) * (side - SIDE + 1)));
    const name = `${folder}/photo-${String(i + 1).padStart(4, "0")}.png`;
    await Deno.writeFile(name, png(crop(image, x, y), SIDE));
  }
}
