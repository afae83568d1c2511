/**
 * Folders that change while they are captioned, and HTML files whose alt texts are
 * filled in; each in its own process.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { png } from "../../tools/crops.ts";
import { toy, toyPixels } from "../agreement/toy_file.ts";
import { run, spawn } from "./run.ts";

const root = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));
const MODEL = `${root}/toy.safetensors`;
Deno.writeFileSync(MODEL, toy().bytes);
const COMMON = [`--model=${MODEL}`, "--max-tokens=3", "--threads=1"];

function folder(name: string): string {
  const path = `${root}/${name}`;
  Deno.mkdirSync(path);
  return path;
}

const photo = (path: string, seed: number) =>
  Deno.writeFileSync(path, png(toyPixels(seed).data, 16));

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 600 && !what(); i++) {
    await new Promise((done) => setTimeout(done, 50));
  }
  assert(what(), "nothing came of it within 30 s");
}

const exists = (path: string) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
};

Deno.test({
  name: "--watch waits for what comes, captions it, and ends with 0 on Ctrl-C",
  ignore: Deno.build.os === "windows",
  async fn() {
    const place = folder("watched");
    const child = spawn(
      ["caption", place, "--watch", "--sidecar=txt", ...COMMON],
      "null",
      ["--allow-read", `--allow-write=${place}`],
    );
    let err = "";
    const ended = (async () => {
      const text = child.stderr.pipeThrough(new TextDecoderStream());
      for await (const piece of text) err += piece;
    })();
    await until(() => /watching/.test(err));
    assertMatch(err, /^watching [^\n]*; Ctrl-C ends it\n$/); // empty yet: nothing to complain of
    photo(`${place}/1.png`, 1);
    await until(() => exists(`${place}/1.txt`));
    Deno.mkdirSync(`${place}/below`);
    photo(`${place}/below/2.png`, 2);
    await until(() => exists(`${place}/below/2.txt`));
    child.kill("SIGINT");
    const [{ code }, out] = await Promise.all([
      child.status,
      new Response(child.stdout).text(),
      ended,
    ]);
    assertEquals(code, 0, err);
    assertEquals(out.trim().split("\n").length, 2);
    const lines = Deno.readTextFileSync(`${place}/captions.jsonl`).trim();
    assertEquals(
      lines.split("\n").map((line) => JSON.parse(line).photo),
      ["1.png", "below/2.png"],
    );
  },
});

Deno.test({
  name:
    "--watch: what comes during the first look, what never rests and what shares a name stop nobody",
  ignore: Deno.build.os === "windows",
  async fn() {
    const place = folder("busy");
    for (let i = 0; i < 12; i++) photo(`${place}/${i}.png`, i);
    const child = spawn(
      ["caption", place, "--watch", "--sidecar=txt", ...COMMON],
      "null",
      ["--allow-read", `--allow-write=${place}`],
    );
    const err = new Response(child.stderr).text();
    const out = new Response(child.stdout).text();
    await until(() => exists(`${place}/0.txt`));
    photo(`${place}/00.png`, 100); // sorted before those that are still to come
    await until(() => exists(`${place}/00.txt`));
    const noise = setInterval(
      () =>
        Deno.writeTextFileSync(`${place}/other.log`, "x\n", { append: true }),
      100,
    );
    photo(`${place}/late.png`, 101);
    await until(() => exists(`${place}/late.txt`));
    photo(`${place}/twin.png`, 102);
    Deno.copyFileSync(`${place}/twin.png`, `${place}/twin.jpg`);
    photo(`${place}/after.png`, 103);
    await until(() => exists(`${place}/after.txt`));
    Deno.removeSync(`${place}/twin.jpg`); // then the other may have it
    await until(() => exists(`${place}/twin.txt`));
    clearInterval(noise);
    child.kill("SIGINT");
    assertEquals((await child.status).code, 0, await err);
    await out;
    assertMatch(await err, /twin\.(jpg|png)" would share one/);
  },
});

Deno.test("--alt-text keeps the mode of a page, refuses what is no UTF-8, and says what lies elsewhere", async () => {
  const place = folder("site");
  photo(`${place}/a.png`, 3);
  const page = `${place}/page.html`;
  const text = '<img src=a.png>\r\n<img src="/a.png"><img src=//x.org/b.png>';
  Deno.writeTextFileSync(page, text, { mode: 0o640 });
  Deno.writeFileSync(`${place}/latin.html`, new Uint8Array([0x3c, 0xe4]));
  Deno.writeTextFileSync(`${place}/gone.md`, "![](gone.png)");
  const fill = async (...more: string[]) => {
    const args = ["caption", "--alt-text", place, ...COMMON, ...more];
    const child = spawn(args, "null", [
      ...["--allow-read", `--allow-write=${place}`],
    ]);
    const { code, stderr } = await child.output();
    return { code, err: new TextDecoder().decode(stderr) };
  };
  const first = await fill();
  assertEquals(first.code, 3, first.err);
  assertMatch(first.err, /"[^"]*gone\.png".*no such file/);
  assertMatch(first.err, /latin\.html".*it is not UTF-8; save it as UTF-8/);
  assertMatch(
    first.err,
    /1 text filled in, 1 image elsewhere, 1 address with .*--site-root/,
  );
  const filled = Deno.readTextFileSync(page);
  assertMatch(filled, /^<img alt="[^"]+" src=a\.png>\r\n<img src="\/a\.png">/);
  assertEquals(Deno.statSync(page).mode! & 0o777, 0o640);
  await fill(`--site-root=${place}`);
  assertEquals(
    Deno.readTextFileSync(page).replaceAll(/ alt="[^"]+"/g, ""),
    text,
  );
  const both = await run(["caption", "--alt-text", "--sidecar=txt", page]);
  assertEquals(both.code, 2);
});

Deno.test({
  name:
    "a hostile folder: links, pipes, a foreign journal and odd names; nothing outside is touched",
  ignore: Deno.build.os === "windows",
  async fn() {
    const outside = folder("outside"), place = folder("outside/photos");
    const settings = `${outside}/.bashrc`;
    Deno.writeTextFileSync(settings, "# my settings\n");
    Deno.writeTextFileSync(`${outside}/hard`, "precious\n");
    photo(`${outside}/private.png`, 9);
    const names = [
      "$(id>PWNED).png",
      "a\nb.png",
      "\x1b]0;x\x07.png",
      "\u009b2J.png",
    ];
    names.forEach((name, i) => photo(`${place}/${name}`, i));
    const link = (to: string, name: string) =>
      Deno.symlinkSync(to, `${place}/${name}`);
    link("../private.png", "private.png");
    link("..", "up");
    link("../.bashrc", "a\nb.txt"); // where a sidecar will be
    link("../new", "\u009b2J.txt");
    Deno.linkSync(`${outside}/hard`, `${place}/.captions.jsonl`);
    const fifo = (name: string) =>
      new Deno.Command("mkfifo", { args: [`${place}/${name}`] }).outputSync();
    fifo("pipe.png"), fifo("$(id>PWNED).txt");
    // A socket of a process that may listen there; killed, it leaves the socket behind.
    const socket = `${place}/socket.png`;
    const listen = `Deno.listen({ transport: "unix", path: ${
      JSON.stringify(socket)
    } }); setTimeout(() => {}, 60_000)`;
    const listener = new Deno.Command(Deno.execPath(), {
      args: ["eval", listen],
    }).spawn();
    await until(() =>
      [...Deno.readDirSync(place)].some((e) => e.name === "socket.png")
    );
    listener.kill("SIGKILL");
    await listener.status;
    assertEquals(Deno.lstatSync(socket).isSocket, true);
    // Names of every byte but 0 and /, as text and as bytes that are no UTF-8.
    for (let from = 0; from < 256; from += 32) {
      const codes = Array.from({ length: 32 }, (_, i) => from + i)
        .filter((code) => code !== 0 && code !== 0x2f);
      photo(`${place}/n${String.fromCharCode(...codes)}.png`, 0);
      const octal = codes.map((c) => `\\${c.toString(8).padStart(3, "0")}`);
      new Deno.Command("sh", {
        args: [
          "-c",
          'printf x > "$(printf "$1")"',
          "sh",
          `b${octal.join("")}.png`,
        ],
        cwd: place,
      }).outputSync();
    }
    const odd = [...Deno.readDirSync(place)].filter((e) =>
      /^[bn]/.test(e.name)
    );
    assertEquals(odd.length, 16);
    // A device, where we may make one.
    new Deno.Command("mknod", { args: [`${place}/null.png`, "c", "1", "3"] })
      .outputSync();
    const state = () => {
      const seen: Record<string, string> = {};
      for (const { name, isFile } of Deno.readDirSync(outside)) {
        const path = `${outside}/${name}`;
        const { mtime, mode } = Deno.statSync(path);
        if (name === "photos") continue;
        seen[name] = isFile
          ? `${Deno.readTextFileSync(path)} ${mtime?.getTime()} ${mode}`
          : "";
      }
      return seen;
    };
    const before = state();
    for (
      const journal of [
        () => link("../.bashrc", "captions.jsonl"),
        () => fifo("captions.jsonl"),
        () => Deno.linkSync(`${outside}/hard`, `${place}/captions.jsonl`),
        () =>
          Deno.writeTextFileSync(
            `${place}/captions.jsonl`,
            '{"photo":"a","caption":"evil","sha256":"","model":"","ask":""}\n',
          ),
        () => {}, // none: this one succeeds as far as it may
      ]
    ) {
      journal();
      const made = exists(`${place}/captions.jsonl`) ||
        [...Deno.readDirSync(place)].some((e) => e.name === "captions.jsonl");
      const audit = `${root}/audit.jsonl`;
      const child = new Deno.Command("deno", {
        args: [
          ...["run", "--quiet", "--no-prompt", "--allow-read"],
          `--allow-write=${outside}`, // more than it needs: what it does with it is the test
          ...["src/cli/main.ts", "caption", place, "--sidecar=txt", ...COMMON],
        ],
        cwd: new URL("../../", import.meta.url),
        env: { NO_COLOR: "1", DENO_AUDIT_PERMISSIONS: audit },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const timer = setTimeout(() => child.kill("SIGKILL"), 60_000);
      const { code, stdout, stderr } = await child.output();
      clearTimeout(timer);
      const text = (b: Uint8Array) => new TextDecoder().decode(b);
      assertEquals(code, made ? 1 : 3, text(stderr));
      // deno-lint-ignore no-control-regex
      const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;
      assert(!control.test(text(stdout) + text(stderr)), "control characters");
      assertEquals(state(), before);
      // Whatever Deno was asked for: nothing outside of the folder was to be written.
      for (const line of Deno.readTextFileSync(audit).trim().split("\n")) {
        const { permission, value } = JSON.parse(line);
        if (permission !== "write") continue;
        if (!value.startsWith(`${outside}/`)) continue; // Deno asks for files read as well
        assert(value.startsWith(`${place}/`) || value === place, line);
      }
      Deno.removeSync(audit);
      if (made) Deno.removeSync(`${place}/captions.jsonl`);
    }
    assert(exists(`${place}/\x1b]0;x\x07.txt`), "the one sidecar that may be");
  },
});
