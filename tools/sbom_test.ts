/** What comes from elsewhere is pinned, and known by its hash. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { cycloneDx, packagesIn } from "./sbom.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

Deno.test("every package is pinned, with its integrity", () => {
  const packages = packagesIn(ROOT);
  assert(packages.length > 5);
  for (const { name, version, integrity } of packages) {
    assertMatch(version, /^\d+\.\d+\.\d+/, name);
    assertMatch(integrity ?? "", /^sha512-[\w+/]{86}==$/, name);
  }
  const { imports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  for (const specifier of Object.values<string>(imports)) {
    if (!specifier.startsWith("npm:")) continue;
    assertMatch(specifier, /@\d+\.\d+\.\d+(\/\w+)?$/); // no range
  }
});

Deno.test("what is shipped is what src/ imports, and what that needs", () => {
  const packages = packagesIn(ROOT);
  const shipped = packages.filter((p) => p.shipped).map((p) => p.name);
  assert(shipped.includes("@huggingface/jinja"));
  for (const tool of ["openai", "binaryen", "playwright-core"]) {
    assert(!shipped.includes(tool), tool);
  }
  const { components } = cycloneDx(packages) as {
    components: { hashes: unknown[] }[];
  };
  assertEquals(components.length, packages.length);
  assert(components.every((c) => c.hashes.length === 1));
});
