/** The tests, files and hostile inputs that docs/threats.md names exist. */
import { assert } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { TARGETS } from "../fuzz/targets.ts";
import { hostileInputs } from "./corpus.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));

/** Text of all tests below a folder. */
function testsBelow(folder: string): string {
  return [...Deno.readDirSync(folder)].map(({ name, isDirectory }) => {
    if (isDirectory) return testsBelow(`${folder}/${name}`);
    return name.endsWith("_test.ts")
      ? Deno.readTextFileSync(`${folder}/${name}`)
      : "";
  }).join("\n");
}

function exists(path: string | URL): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("every test that docs/threats.md names is there", () => {
  const tests = testsBelow(`${ROOT}tests`) + testsBelow(`${ROOT}src`) +
    testsBelow(`${ROOT}tools`);
  const inputs = hostileInputs();
  const hostile = [...inputs.values()].flat().map((i) => i.name);
  const isThere = (name: string): boolean => {
    const [, hostileFiles] = /^hostile files: (\w+)$/.exec(name) ?? [];
    if (hostileFiles) return inputs.has(hostileFiles);
    const [, target] = /^\d+ damaged inputs: ([\w ]+)$/.exec(name) ?? [];
    if (target) return TARGETS.some((t) => t.name === target);
    if (/^storm: \d+ \w+$/.test(name)) return true; // their counts are tested there
    if (/^\d+ bombs: /.test(name)) return tests.includes("bombs: refused in");
    if (name.startsWith("deno task ")) return true; // docs/ runs them
    if (name.includes("--")) {
      return hostile.some((f) => f.startsWith(name.replace("…", "")));
    }
    return name.includes("/") ? exists(ROOT + name) : tests.includes(name);
  };
  let named = 0;
  for (
    const line of Deno.readTextFileSync(`${ROOT}docs/threats.md`).split("\n")
  ) {
    if (!line.startsWith("|") || /^\|( class|[ -]+\|)/.test(line)) continue;
    const last = line.split("|").at(-2)!;
    for (const [, name] of last.matchAll(/`([^`]+)`/g)) {
      named++;
      assert(isThere(name), `docs/threats.md names ${name}`);
    }
  }
  assert(named > 30, `${named}`);
});
