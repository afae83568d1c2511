/**
 * Folders of side files through every command: each is checked; where that
 * succeeds, a checkpoint with random weights is built and planned, quantized,
 * and asked for a caption and an answer. One JSON line per folder; the record of
 * docs/models.md is made of such lines.
 *
 *     deno run --allow-all tools/real/walk.ts FOLDER... [--layers 1] [--check-only]
 *
 * @module
 */
import { basename } from "@std/path";
import { parseArgs } from "node:util";
import { png } from "../crops.ts";
import { realFolder } from "./checkpoint.ts";

const { values, positionals: folders } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    layers: { type: "string", default: "1" },
    "check-only": { type: "boolean", default: false },
  },
});
const main = new URL("../../src/cli/main.ts", import.meta.url);

async function mquant(args: readonly string[], stdin = "") {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-read",
      "--allow-write",
      main.href,
      ...args,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const text = (b: Uint8Array) => new TextDecoder().decode(b).trim();
  return {
    code,
    out: text(stdout),
    err: text(stderr).split("\n").at(-1) ?? "",
  };
}

/** Result of each step: "ok", or the message where it failed. */
async function walk(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = { folder: basename(folder) };
  const checked = await mquant(["check", "--json", folder]);
  const { family, reason } = checked.out === "" ? {} : JSON.parse(checked.out);
  if (family !== undefined) found.family = family;
  found.check = reason ?? (checked.code === 0 ? "ok" : checked.err);
  if (checked.code !== 0 || values["check-only"]) return found;
  const place = await Deno.makeTempDir();
  try {
    const built = `${place}/built`, file = `${place}/w4a8.safetensors`;
    const photos = `${place}/photos`, photo = `${photos}/a.png`;
    try {
      realFolder(folder, built, { layers: Number(values.layers) });
    } catch (error) {
      found.plan = error instanceof Error ? error.message : `${error}`;
      return found;
    }
    await Deno.mkdir(photos);
    const pixels = Uint8Array.from(
      { length: 64 * 64 * 3 },
      (_, i) => Math.imul(i, 0x9e3779b1) >>> 24,
    );
    await Deno.writeFile(photo, png(pixels, 64));
    const steps: [string, string[], string?][] = [
      ["plan", ["show", "--plan", built]],
      ["quantize", [
        ...["quantize", built, `--calibration=${photos}`, `--out=${file}`],
        ...["--samples=1", "--answer=2", "--quiet"],
      ]],
      ["caption", ["caption", `--model=${file}`, "--max-tokens=3", photo]],
      [
        "chat",
        ["chat", `--model=${file}`, "--max-tokens=3", "--quiet"],
        "hi\n",
      ],
    ];
    for (const [step, args, stdin] of steps) {
      const { code, err } = await mquant(args, stdin);
      found[step] = code === 0 ? "ok" : err;
      if (code !== 0) break;
    }
  } finally {
    await Deno.remove(place, { recursive: true });
  }
  return found;
}

for (const folder of folders) console.log(JSON.stringify(await walk(folder)));
