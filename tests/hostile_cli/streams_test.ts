/** stdout, stderr and stdin, closed pipes, Ctrl-C. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { bundledModel, run, spawn } from "./run.ts";

const PHOTO = "models/photo-mini/photos/photographer.jpg";
const skip = { ignore: bundledModel() === undefined }; // no model is bundled yet

Deno.test("help is on stdout for the whole and for each command", async () => {
  const whole = await run(["--help"]);
  assertEquals([whole.code, whole.err], [0, ""]);
  const names = [...whole.out.matchAll(/^ {2}([a-z]+) {2}/gm)].map((m) => m[1]);
  assert(names.length >= 8);
  await Promise.all(names.map(async (name) => {
    const { code, out, err } = await run([name, "--help"]);
    assertEquals([code, err], [0, ""]);
    assertMatch(out, new RegExp(`Usage: mquant ${name}`));
  }));
});

Deno.test("no command at all is wrong usage", async () => {
  const { code, out, err } = await run([]);
  assertEquals([code, out], [2, ""]);
  assertMatch(err, /Usage: mquant COMMAND/);
});

Deno.test("the version names the kernels", async () => {
  const { code, out } = await run(["--version"]);
  assertEquals(code, 0);
  assertMatch(
    out,
    /^mquant \d+\.\d+\.\d+\nkernels simd [0-9a-f]{16}, relaxed [0-9a-f]{16}\n/,
  );
});

Deno.test({
  name: "one photo: the caption alone on stdout; --quiet leaves stderr empty",
  ...skip,
  async fn() {
    const { code, out, err } = await run(["caption", "--quiet", PHOTO]);
    assertEquals([code, err], [0, ""]);
    assertMatch(out, /^\S[^\n]*\S\n$/);
    const timed = await run(["caption", PHOTO]);
    assertEquals(timed.out, out);
    assertMatch(
      timed.err,
      /^image \d+ ms, prompt \d+ ms, \d+ tokens \d+ ms\n$/,
    );
  },
});

Deno.test({
  name: "stdin is a photo, and --json is JSON alone",
  ...skip,
  async fn() {
    const file = await run(["caption", "--json", PHOTO]);
    const piped = await run(
      ["caption", "--json", "-"],
      Deno.readFileSync(PHOTO),
    );
    assertEquals([file.code, piped.code], [0, 0]);
    const [a, b] = [JSON.parse(file.out), JSON.parse(piped.out)];
    assertEquals(a.caption, b.caption);
    assertEquals([a.photo, b.photo], [PHOTO, "-"]);
    assertEquals(Object.keys(a), [
      "photo",
      "caption",
      "tokens",
      "finish",
      "timings",
    ]);
  },
});

Deno.test("a reader that goes away ends the work quietly", async () => {
  const child = spawn(["--help"]);
  await child.stdout.cancel();
  const err = await new Response(child.stderr).text();
  const { code } = await child.status;
  assertEquals([code, err], [0, ""]);
});

Deno.test({
  name: "Ctrl-C ends a long answer with 130",
  ignore: skip.ignore || Deno.build.os === "windows",
  async fn() {
    // One photo under many names: what is named twice is captioned once.
    const many = Array.from({ length: 500 }, (_, i) => "./".repeat(i) + PHOTO);
    const child = spawn(["caption", ...many]);
    const err = new Response(child.stderr).text();
    let begin = Infinity;
    for await (const _ of child.stdout) { // it has begun to answer
      if (begin === Infinity) child.kill("SIGINT");
      begin = Math.min(begin, performance.now());
    }
    const { code } = await child.status;
    assertEquals(code, 130);
    assert(performance.now() - begin < 3000);
    assertMatch(await err, /interrupted\n$/);
  },
});
