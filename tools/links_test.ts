/** Every relative link of a document names a file that exists. */
import { assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);

/** The documents in a folder, and in its subfolders if `deep`. */
function documents(folder: URL, deep: boolean): URL[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory
      ? deep ? documents(new URL(`${name}/`, folder), deep) : []
      : name.endsWith(".md")
      ? [new URL(name, folder)]
      : []
  );
}

const DOCUMENTS = ["", "docs/", "models/", "examples/"]
  .flatMap((folder) => documents(new URL(folder, root), folder !== ""));

Deno.test("every relative link in README, docs/, models/ and examples/ exists", () => {
  const broken: string[] = [];
  for (const document of DOCUMENTS) {
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
