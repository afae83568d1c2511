/** `serve` and `chat` as processes, with exactly their permissions. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { toy } from "../agreement/toy_file.ts";
import { ROOT } from "../hostile_cli/run.ts";
import { say } from "./fake.ts";
import { freePort } from "../free_port.ts";

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const MODEL = `${folder}/toy.safetensors`;
Deno.writeFileSync(MODEL, toy().bytes);
const READ = `--allow-read=${ROOT},${MODEL}`;
const PHOTO = "models/photo-mini/photos/cat.jpg";

function start(flags: string[], args: string[]): Deno.ChildProcess {
  return new Deno.Command("deno", {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check"],
      ...flags,
      ...["src/cli/main.ts", ...args],
    ],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function run(flags: string[], args: string[], input = "") {
  const child = start(flags, args);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = (b: Uint8Array) => new TextDecoder().decode(b);
  return { code, out: text(stdout), err: text(stderr) };
}

/** Starts `serve`; its messages grow in `err`, which `ready` waits for. */
async function serve(port: number, ...more: string[]) {
  const args = ["serve", "--model", MODEL, "--port", `${port}`, ...more];
  const child = start([READ, `--allow-net=127.0.0.1:${port}`], [
    ...args,
    "--threads=1",
  ]);
  await child.stdin.close();
  const server = { child, err: "", ended: Promise.resolve() };
  const ready = Promise.withResolvers<void>();
  server.ended = (async () => {
    const text = child.stderr.pipeThrough(new TextDecoderStream());
    for await (const piece of text) {
      server.err += piece;
      if (/is ready at/.test(server.err)) ready.resolve();
    }
    ready.resolve();
  })();
  await ready.promise;
  return server;
}

Deno.test({
  name: "serve answers, and ends with 0 on SIGTERM and SIGINT",
  ignore: Deno.build.os === "windows",
  async fn() {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const port = freePort(), server = await serve(port);
      const url = `http://127.0.0.1:${port}`;
      assertMatch(server.err, /^toy is ready at http:\/\/127.0.0.1:\d+\/ \(1 /);
      const answer = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(say("hi", { model: "toy", max_tokens: 3 })),
      });
      assertEquals((await answer.json()).usage.completion_tokens, 3);
      // A stream that runs when the signal comes is finished.
      const stream = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(say("hi", { stream: true, max_tokens: 100 })),
      });
      server.child.kill(signal);
      assertMatch(await stream.text(), /"finish_reason":"[a-z]+".*\[DONE\]/s);
      const { code } = await server.child.status;
      await server.ended;
      assertEquals(code, 0, server.err);
      assertEquals(await new Response(server.child.stdout).text(), "");
      assert(!/legacy|Error|\n +at /.test(server.err), server.err);
    }
  },
});

Deno.test({
  name:
    "a log that nobody reads or that is closed stops no answer and no server",
  ignore: Deno.build.os === "windows",
  async fn() {
    for (const how of ["stalled", "closed"] as const) {
      const port = freePort(), url = `http://127.0.0.1:${port}`;
      const args = ["serve", "--model", MODEL, "--port", `${port}`];
      const child = start([READ, `--allow-net=127.0.0.1:${port}`], [
        ...args,
        "--threads=1",
      ]);
      await child.stdin.close();
      await child.stdout.cancel();
      if (how === "closed") await child.stderr.cancel();
      const get = async (path: string) => {
        const answer = await fetch(url + path).catch(() => undefined);
        return { status: answer?.status, text: await answer?.text() };
      };
      while ((await get("/health")).status !== 200) {
        await new Promise((go) => setTimeout(go, 20));
      }
      // A pipe holds 64 KB; a thousand lines more wait.
      const path = `/${"x".repeat(10)}`;
      const requests = how === "stalled" ? 4000 : 20;
      for (let i = 0; i < requests; i += 20) {
        const some = Array.from({ length: 20 }, () => get(path));
        for (const { status } of await Promise.all(some)) {
          assertEquals(status, 404);
        }
      }
      const lost = /mquant_log_lines_lost_total (\d+)/
        .exec((await get("/metrics")).text!);
      assert(Number(lost![1]) > 0, `${how}: ${lost![0]}`);
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0, how);
      if (how === "stalled") await child.stderr.cancel();
    }
  },
});

Deno.test({
  name:
    "a supervised server that is killed is restarted and gives the same answers",
  ignore: Deno.build.os === "windows",
  async fn() {
    const port = freePort(), url = `http://127.0.0.1:${port}`;
    const ready = `${folder}/ready`;
    const child = start(
      [
        ...["--allow-read", "--allow-run", `--allow-write=${ready}`],
        `--allow-net=127.0.0.1:${port}`,
      ],
      [
        ...["serve", "--model", MODEL, "--port", `${port}`, "--threads=1"],
        ...["--supervise", "--quiet", "--ready-file", ready],
      ],
    );
    await child.stdin.close();
    const pid = async (other: string) => {
      for (let i = 0; i < 500; i++) {
        const text = await Deno.readTextFile(ready).catch(() => "");
        if (text !== "" && text !== other) return text;
        await new Promise((go) => setTimeout(go, 20));
      }
      throw new Error("it is never ready");
    };
    const answer = async () => {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(say("hi", { max_tokens: 8 })),
      });
      return (await response.json()).choices[0].message.content;
    };
    const first = await pid(""), want = await answer();
    Deno.kill(Number(first), "SIGKILL");
    await pid(first);
    assertEquals(await answer(), want);
    child.kill("SIGTERM");
    const { code, stderr } = await child.output();
    assertEquals(code, 0);
    const log = new TextDecoder().decode(stderr);
    assertMatch(
      log,
      /the server ended \(SIGKILL\); it is started again in 0.5 s/,
    );
    assertEquals(await Deno.stat(ready).catch(() => "gone"), "gone");
  },
});

Deno.test("serve says what is wrong with its words, address, key and permissions", async () => {
  const port = `${freePort()}`, model = ["--model", MODEL];
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const takenPort = `${taken.addr.port}`;
  const short = `${folder}/short.key`;
  Deno.writeTextFileSync(short, "abc\n");
  const cases: [string[], string[], number, RegExp][] = [
    [["--host", "0.0.0.0"], [], 2, /"0\.0\.0\.0".*--api-key-file/],
    [["--api-key", "short"], [], 2, /8 to 256 .*openssl/],
    [["--port", "70000"], [], 2, /0 to 65535.*"70000"/],
    [["extra"], [], 2, /takes only options: "extra"/],
    [["--port", port], [], 1, new RegExp(`--allow-net=127.0.0.1:${port}`)],
    [
      ["--port", takenPort],
      [`--allow-net=127.0.0.1:${takenPort}`],
      1,
      /another program listens there.*--port/,
    ],
    [
      ["--port", port, "--api-key-file", short],
      [`--allow-net=127.0.0.1:${port}`, `--allow-read=${folder}`],
      2,
      /this one has 3/,
    ],
    [
      ["--port", port, "--model", `${folder}/no.safetensors`],
      [`--allow-net=127.0.0.1:${port}`, `--allow-read`],
      1,
      /"no\.safetensors"/,
    ],
  ];
  await Promise.all(cases.map(async ([args, flags, code, want]) => {
    const read = flags.some((f) => f.startsWith("--allow-read")) ? [] : [READ];
    const got = await run([...read, ...flags], ["serve", ...model, ...args]);
    assertEquals(got.code, code, `${args.join(" ")}\n${got.err}`);
    assertMatch(got.err, want);
    assertMatch(got.err, /^Cannot [^\n]*\n$/);
    assertEquals(got.out, "");
  }));
});

Deno.test("chat: lines in, answers out, images, commands, failures", async () => {
  // The decoders of JPEG and WebP are read from Deno's cache.
  const READ = "--allow-read";
  const args = ["chat", "--model", MODEL, "--threads=1", "--max-tokens=3"];
  const talk = await run([READ], args, "hi\n/reset\nhi\n/quit\nnever asked\n");
  assertEquals(talk.code, 0, talk.err);
  const [first, second, ...rest] = talk.out.split("\n");
  assertEquals([second, rest], [first, [""]]);
  assert(first.length > 0);
  const shown = await run([READ], [...args, "--quiet"], `/image ${PHOTO}\nhi`);
  assertEquals([shown.code, shown.err.replaceAll(/cut off at.*\n/g, "")], [
    0,
    "",
  ]);
  const wrong = await run(
    [READ],
    [...args, "--quiet"],
    `/image no.jpg\n/frob\n${"too long ".repeat(30)}\nhi\n`,
  );
  assertEquals(wrong.code, 3, wrong.err);
  assertMatch(wrong.err, /Cannot show "no\.jpg": there is no such file/);
  assertMatch(wrong.err, /Cannot run \/frob.*\/help/);
  assertMatch(wrong.err, /context of 128 tokens/);
  assertEquals(wrong.out.split("\n").length, 2); // the last line is answered
  const none = await run([READ], [...args, "no.jpg"], "hi\n");
  assertEquals(none.code, 1);
  assertMatch(none.err, /^Cannot show "no\.jpg"/);
});

Deno.test("chat /history tells what was said", async () => {
  const args = ["chat", "--model", MODEL, "--threads=1", "--max-tokens=3"];
  const talk = await run(
    ["--allow-read"],
    [...args, "--quiet"],
    `/history\n/image ${PHOTO}\nhi\n/history\n`,
  );
  assertEquals(talk.code, 0, talk.err);
  const [none, answer, user, assistant] = talk.out.split("\n");
  assertEquals(none, "nothing was said yet");
  assertMatch(user, /^user: \[\d+ × \d+ image\] hi$/);
  assertEquals(assistant, `assistant: ${answer.trim()}`.trimEnd());
});
