/** A supervisor over servers that crash, hang, end well, cannot begin. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { EXIT } from "./errors.ts";
import { supervise, type Supervised } from "./supervise.ts";

const TIMES = {
  backOffMs: 20,
  mostBackOffMs: 80,
  wellMs: 10_000,
  firstMs: 5,
  askMs: 10,
  answerMs: 10,
  startMs: 50,
};

interface Life {
  /** Ends by itself after so long. */
  readonly ms?: number;
  readonly code?: number;
  readonly signal?: string;
  readonly answers?: boolean;
}

/** Runs servers with these lives; the last is stopped after a moment. */
async function run(lives: readonly Life[], stopMs = 400) {
  const said: string[] = [], kills: string[] = [], starts: number[] = [];
  const stop = new AbortController();
  let now: Life = {};
  const start = (): Supervised => {
    const life = lives[starts.length] ?? lives.at(-1)!;
    now = life;
    starts.push(performance.now());
    const status = Promise.withResolvers<
      { code: number; signal: string | null }
    >();
    const timer = setTimeout(
      () =>
        status.resolve({ code: life.code ?? 1, signal: life.signal ?? null }),
      life.ms ?? 1e6,
    );
    return {
      status: status.promise,
      kill(signal) {
        kills.push(signal);
        clearTimeout(timer);
        status.resolve(
          signal === "SIGKILL"
            ? { code: 137, signal }
            : { code: EXIT.ok, signal: null },
        );
      },
    };
  };
  const timer = setTimeout(() => stop.abort(), stopMs);
  const code = await supervise({
    start,
    answers: () => Promise.resolve(now.answers ?? true),
    say: (text) => said.push(text),
    stop: stop.signal,
    times: TIMES,
  });
  clearTimeout(timer);
  return { code, said, kills, starts };
}

Deno.test("a crashed server is restarted, with growing delays, and stops when told to", async () => {
  const crash = { ms: 30, code: 133 };
  const { code, said, kills, starts } = await run(
    [crash, crash, crash, {}],
    900,
  );
  assertEquals([code, kills, starts.length], [EXIT.ok, ["SIGTERM"], 4]);
  assertMatch(said[0], /exit code 133\); it is started again in 0.02 s/);
  assertMatch(said[2], /again in 0.08 s/);
  assert(starts[3] - starts[2] > 30 + 80 - 5);
});

Deno.test("a killed server is started again; the wait has an end", async () => {
  const killed = { ms: 20, signal: "SIGKILL" };
  const { said } = await run(
    [killed, killed, killed, killed, killed, {}],
    1500,
  );
  assertMatch(said[0], /\(SIGKILL\)/);
  assertMatch(said[4], /again in 0.08 s/);
});

Deno.test("a server that no longer answers is ended and started again", async () => {
  const { said, kills, starts } = await run([{ answers: false }, {}], 600);
  assertEquals([kills[0], starts.length], ["SIGKILL", 2]);
  assertMatch(said[0], /does not answer/);
});

Deno.test("what ends well, makes no sense or cannot begin is not started again", async () => {
  for (const code of [EXIT.ok, EXIT.usage, EXIT.interrupted]) {
    const got = await run([{ ms: 30, code }]);
    assertEquals([got.code, got.starts.length], [code, 1]);
  }
  const bad = await run([{ ms: 30, code: EXIT.failure, answers: false }]);
  assertEquals([bad.code, bad.starts.length], [EXIT.failure, 1]);
  const later = await run([{ ms: 60, code: EXIT.failure }, {}], 600);
  assertEquals(later.starts.length, 2); // it was well before
});

Deno.test("told to end while it waits, a supervisor ends", async () => {
  const begun = performance.now();
  const { code } = await run([{ ms: 30, code: EXIT.stuck }], 45);
  assertEquals(code, EXIT.stuck);
  assert(performance.now() - begun < 1000);
});
