/**
 * Every command runs with exactly the permissions that its help names. Without one of
 * them it fails, names the missing flag, and leaves nothing behind.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { COMMANDS, load } from "../../src/cli/commands.ts";
import { png } from "../../tools/crops.ts";
import { toy, toyPixels } from "../agreement/toy_file.ts";
import { ROOT } from "../hostile_cli/run.ts";
import { version1 } from "../convert/version1.ts";
import { serveHub } from "../hub/hub.ts";
import { freePort } from "../free_port.ts";

/** A way to call a command. */
interface Call {
  readonly command: string;
  /** What follows the command. */
  readonly args: readonly string[];
  /** Permissions of its help that this call needs. */
  readonly flags: readonly string[];
  /** Flags that make it say more, and are no loss where they are left out. */
  readonly extra?: readonly string[];
  /** What it says on stdout. */
  readonly says: RegExp;
  /** Asked to end once it has said so on stderr: it would run on. */
  readonly until?: RegExp;
  /** Where the program lies; the checkout if not given. */
  readonly cwd?: string;
}

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const model = `${folder}/toy.safetensors`, photos = `${folder}/photos`;
const out = `${folder}/out`, copy = `${folder}/copy`;
const page = `${out}/page.html`;
Deno.writeFileSync(model, toy().bytes);
const old = `${folder}/old.safetensors`;
Deno.writeFileSync(old, version1());
for (
  const path of [photos, `${photos}/images`, out, `${copy}/models/photo-mini`]
) {
  Deno.mkdirSync(path, { recursive: true });
}
const photo = `${photos}/images/a.png`;
Deno.writeFileSync(photo, png(toyPixels(1).data, 16));
Deno.writeTextFileSync(page, "<img src=../photos/images/a.png>");
Deno.writeTextFileSync(
  `${photos}/captions.json`,
  JSON.stringify([{ file: "a.png", captions: ["a photo"] }]),
);
for (const name of ["src", "tools", "deno.json", "deno.lock"]) {
  Deno.symlinkSync(`${ROOT}${name}`, `${copy}/${name}`);
}
const checkpoint = `${ROOT}tests/golden/smolvlm-toy`;
const samples = `${ROOT}models/photo-mini/photos`;
const small = [`--model=${model}`, "--threads=1", "--max-tokens=2"];

/** One call of each command at least; FOLDER is `out`. */
function calls(hub: string, port: number): Call[] {
  const read = "--allow-read", write = "--allow-write=FOLDER";
  const net = `--allow-net=${new URL(hub).host}`;
  return [
    { command: "caption", args: [...small, photo], flags: [read], says: /\S/ },
    {
      command: "caption",
      args: [...small, "--sidecar=txt", `--journal=${out}/j.jsonl`, photo],
      flags: [read, `--allow-write=${photos},${out}`],
      says: /a\.png\t/,
    },
    {
      command: "caption",
      args: [...small, "--alt-text", page],
      flags: [read, write],
      says: /page\.html:1\t/,
    },
    { command: "chat", args: [...small, "--quiet"], flags: [read], says: /^$/ },
    {
      command: "serve",
      args: [`--model=${model}`, "--threads=1", `--port=${port}`],
      flags: [read, `--allow-net=127.0.0.1:${port}`],
      extra: ["--allow-run", write], // with --supervise, with --ready-file
      says: /^$/,
      until: /is ready at/,
    },
    {
      command: "pull",
      args: ["owner/name", "--force", `--hub=${hub}`, `--to=${out}/pulled`],
      flags: [read, write, net],
      says: /1 file,/,
    },
    {
      command: "check",
      args: [checkpoint],
      flags: [read],
      extra: [net], // for OWNER/NAME
      says: /supported +yes/,
    },
    {
      command: "quantize",
      args: [
        ...[checkpoint, `--calibration=${samples}`, "--samples=1"],
        `--out=${out}/q.safetensors`,
      ],
      flags: [read, write],
      says: /^$/,
    },
    {
      command: "convert",
      args: [old, `${out}/converted.safetensors`],
      flags: [read, write],
      says: /^$/,
    },
    {
      command: "bundle",
      args: [checkpoint, `--calibration=${samples}`, "--samples=1"],
      flags: [read, "--allow-write=models"],
      says: /^$/,
      cwd: copy,
    },
    {
      command: "eval",
      args: [`--model=${model}`, "--max-tokens=2", "--threads=1", photos],
      flags: [read],
      says: /CIDEr-D/,
    },
    {
      command: "report",
      args: [model, `--out=${out}/report.html`],
      flags: [read, write],
      says: /^/,
    },
    { command: "show", args: [model, "--plan"], flags: [read], says: /decode/ },
    {
      command: "inspect",
      args: [`${checkpoint}/model.safetensors`, "model.text_model.norm.weight"],
      flags: [read],
      says: /numbers/,
    },
    { command: "compare", args: [model, model], flags: [read], says: /\S/ },
    {
      command: "bench",
      args: ["--only=quantize_f32", "--rounds=1"],
      flags: [],
      says: /quantize_f32/,
    },
    {
      command: "bench",
      args: ["--profile", "--threads=1"],
      flags: [read],
      says: /one caption/,
    },
    {
      command: "doctor",
      args: [`--model=${model}`, "--threads=1"],
      flags: [read],
      extra: ["--allow-sys=systemMemoryInfo"],
      says: /SIMD +yes/,
    },
    { command: "completions", args: ["bash"], flags: [], says: /complete / },
  ];
}

async function run(call: Call, flags: readonly string[]) {
  const child = new Deno.Command("deno", {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check"],
      ...flags.map((f) => f.replace("FOLDER", out)),
      ...["src/cli/main.ts", call.command, ...call.args],
    ],
    cwd: call.cwd ?? ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let err = "", ended = false;
  const messages = (async () => {
    for await (
      const text of child.stderr.pipeThrough(new TextDecoderStream())
    ) {
      err += text;
      if (!ended && call.until?.test(err)) ended = true, child.kill("SIGINT");
    }
  })();
  const said = await new Response(child.stdout).text();
  const { code } = await child.status;
  await messages;
  return { code, said, err };
}

/** Names and sizes of all that a call may write. */
function written(): string[] {
  const all: string[] = [];
  const walk = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      const place = `${path}/${name}`;
      if (isDirectory) walk(place);
      else all.push(`${place} ${Deno.lstatSync(place).size}`);
    }
  };
  for (const path of [photos, out, `${copy}/models`]) walk(path);
  return all.sort();
}

/** Flags that the help of a command names, their values left out. */
async function documented(name: string): Promise<string[]> {
  const { permissions } = (await load(name))!;
  return [...permissions.matchAll(/--allow-[a-z]+/g)].map(([flag]) => flag);
}

Deno.test({
  name: "each command needs what its help says, and no less",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using hub = serveHub({
      "config.json": new TextEncoder().encode("{}"),
    });
    const known = new Set<string>(COMMANDS);
    const all = calls(hub.url, freePort()).filter((c) => known.has(c.command));
    for (const name of COMMANDS) {
      const own = all.filter((c) => c.command === name);
      assert(own.length > 0, `${name} has no call in this test`);
      const used = own.flatMap((c) => [...c.flags, ...c.extra ?? []]);
      assertEquals(
        [...new Set(used.map((flag) => flag.split("=")[0]))].sort(),
        [...new Set(await documented(name))].sort(),
        `permissions of ${name}`,
      );
    }
    for (const call of all) {
      const what = `${call.command} ${call.args.join(" ")}`;
      for (const missing of call.flags) {
        const before = written();
        const rest = call.flags.filter((flag) => flag !== missing);
        const { code, said, err } = await run(call, rest);
        assertEquals(code, 1, `${what} without ${missing}: ${said}${err}`);
        assertMatch(said + err, new RegExp(missing.split("=")[0]));
        assert(!/\n +at /.test(err), err);
        assertEquals(written(), before, `${what} without ${missing}`);
      }
      const flags = [...call.flags, ...call.extra ?? []];
      const { code, said, err } = await run(call, flags);
      assertEquals(code, 0, `${what}: ${err}`);
      assertMatch(said, call.says);
    }
  },
});
