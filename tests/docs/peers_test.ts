/** docs/peers.md: the test that each line names exists. */
import { assert } from "@std/assert";

const PEERS = new URL("../../docs/peers.md", import.meta.url);

Deno.test("every claim beside others names a test, and the test is there", async () => {
  const text = await Deno.readTextFile(PEERS);
  const [, claims] = /^\| what [^]*?\n\| -[^\n]*\n([^]*?)\n\n/m.exec(text)!;
  const rows = claims.split("\n");
  assert(rows.length > 12);
  for (const row of rows) {
    const found = /\[([^\]]+)\]\(([^)]+_test\.ts)\) *\|$/.exec(row);
    assert(found, row);
    const [, name, path] = found;
    const source = await Deno.readTextFile(new URL(path, PEERS));
    const begins = ['"', "`"].some((quote) => source.includes(quote + name));
    assert(begins, `${path} has no test ${name}`);
  }
});
