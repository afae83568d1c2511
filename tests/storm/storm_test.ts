/** A short run of each part; `deno task storm` runs the long one. */
import { assert, assertEquals } from "@std/assert";
import { type Gust, KINDS } from "./worker.ts";

const TO: Readonly<Record<Gust["kind"], number>> = {
  bodies: 400,
  clients: 200,
  cancels: 28,
  shutdowns: 4,
};

for (const [kind, to] of Object.entries(TO)) {
  Deno.test({
    name: `storm: ${to} ${kind}`,
    ignore: kind === "shutdowns" && Deno.build.os === "windows",
    async fn() {
      const gust = { kind: kind as Gust["kind"], seed: 1, from: 0, to };
      const { tried, ends, findings } = await KINDS[gust.kind](gust);
      assertEquals(findings, [], JSON.stringify(ends));
      assert(tried >= to, `${tried}`);
    },
  });
}
