/** Each attack once, on a server with its model in its own thread. */
import { assert, assertEquals } from "@std/assert";
import { listenFor } from "../../src/server/listen.ts";
import { LIMITS } from "../../src/server/mod.ts";
import { openRemote } from "../../src/server/remote.ts";
import { toy } from "../agreement/toy_file.ts";
import { say } from "../server/fake.ts";
import { ATTACKS } from "./attacks.ts";
import { siege } from "./siege.ts";

Deno.test("no attack costs a normal client its answer, or the server its life", async () => {
  const folder = Deno.makeTempDirSync(), path = `${folder}/toy.safetensors`;
  Deno.writeFileSync(path, toy().bytes);
  try {
    await using remote = await openRemote(path, {
      open: { threads: 1 },
      rules: { model: "m", limits: LIMITS },
      stuckMs: 60_000,
      onStuck: () => {
        throw new Error("stuck");
      },
    });
    const errors: unknown[] = [];
    const server = listenFor(remote, {
      port: 0,
      model: "m",
      onError: (error) => errors.push(error),
    });
    const out = await siege({
      port: Number(new URL(server.url).port),
      ms: 4000,
      body: JSON.stringify(say("hi", { max_tokens: 6 })),
      clients: 2,
    });
    assertEquals([out.findings, errors], [[], []]);
    assert(out.answers > 5, `${out.answers} answers`);
    assert(out.health.length > 20);
    assertEquals(Object.keys(out.attacks), Object.keys(ATTACKS));
    assertEquals(await server.shutdown(5000), true);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
