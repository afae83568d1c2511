/** docs/troubleshooting.md quotes messages that exist in the code. */
import { assert } from "@std/assert";

const root = new URL("../../", import.meta.url);

function sources(folder: URL): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return sources(new URL(`${name}/`, folder));
    return name.endsWith(".ts") && !/_test\.ts$|generated/.test(name)
      ? [Deno.readTextFileSync(new URL(name, folder))]
      : [];
  });
}

Deno.test("every message and every code of troubleshooting is in the source, part by part", async () => {
  // Holes of templates are the … of the messages.
  const source = sources(new URL("src/", root)).join("\n")
    .replaceAll("\\`", "`");
  const text = await Deno.readTextFile(
    new URL("docs/troubleshooting.md", root),
  );
  const rows = [...text.matchAll(/^\| (`.*?`) *\|/gm)].map(([, cell]) => cell);
  assert(rows.length > 15);
  for (const row of rows) {
    const message = row.replaceAll(/^`|`$/g, "");
    for (const part of message.split("…")) {
      assert(source.includes(part.trim()), `${message}: ${part}`);
    }
  }
});
