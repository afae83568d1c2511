/** Links of the documents lead somewhere: no file is named that is not there. */
import { assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);

function documents(folder: URL): URL[] {
  return [...Deno.readDirSync(folder)].filter((e) => e.name.endsWith(".md"))
    .map((e) => new URL(e.name, folder));
}

Deno.test("every relative link in README, docs/ and the model's card exists", () => {
  const folders = ["", "docs/", "models/flickr-mini/"];
  const broken: string[] = [];
  for (const document of folders.flatMap((f) => documents(new URL(f, root)))) {
    const prose = Deno.readTextFileSync(document).replace(/^```.*?^```/gms, "");
    for (const [, target] of prose.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      try {
        Deno.statSync(new URL(target, document));
      } catch {
        broken.push(
          `${document.pathname.slice(root.pathname.length)}: ${target}`,
        );
      }
    }
  }
  assertEquals(broken, []);
});
