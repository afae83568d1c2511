/** Dependencies are pinned, and verified by hash. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { cycloneDx, faultsOf, insideOf, packagesIn } from "./sbom.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

Deno.test("every package is pinned with its integrity hash", () => {
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

/** What `deno info` says of a module. */
interface Module {
  readonly specifier: string;
  readonly npmPackage?: string;
  readonly dependencies?: readonly {
    readonly isDynamic?: boolean;
    readonly code?: { readonly specifier: string };
  }[];
}

/** npm packages that are loaded with a file: of what it imports, not of what it may import later. */
async function loadedWith(file: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("deno", {
    args: ["info", "--json", file],
    cwd: ROOT,
  }).output();
  const graph = JSON.parse(new TextDecoder().decode(stdout)) as {
    modules: Module[];
    roots: string[];
    redirects: Record<string, string>;
  };
  const modules = new Map(graph.modules.map((m) => [m.specifier, m]));
  const seen = new Set<string>(), packages = new Set<string>();
  const visit = (name: string) => {
    const specifier = graph.redirects[name] ?? name;
    if (seen.has(specifier)) return;
    seen.add(specifier);
    const module = modules.get(specifier);
    if (module?.npmPackage) packages.add(module.npmPackage);
    for (const { isDynamic, code } of module?.dependencies ?? []) {
      if (code && !isDynamic) visit(code.specifier);
    }
  };
  for (const root of graph.roots) visit(root);
  assert(seen.size > 20, file);
  return [...packages].map((p) => p.replace(/@[^@]*$/, "")).sort();
}

Deno.test("three packages are loaded to open, caption and serve; the others where they are needed", async () => {
  const three = [
    "@assemblyscript/loader",
    "@huggingface/jinja",
    "@jsquash/jpeg",
  ];
  for (const file of ["mod.ts", "cli/caption.ts", "cli/serve.ts"]) {
    assertEquals(await loadedWith(`src/${file}`), three, file);
  }
  assertEquals(await loadedWith("src/server/mod.ts"), []);
  assertEquals(
    (await loadedWith("src/cli/alt_text.ts")).filter((p) => !three.includes(p)),
    ["mdast-util-from-markdown", "parse5"],
  );
});

Deno.test("the C code inside packages is listed, with versions that have no listed vulnerability", () => {
  const packages = packagesIn(ROOT);
  for (const { name, version } of packages.filter((p) => p.shipped)) {
    const wasm = ["@jsquash/jpeg", "wasm-webp"].includes(name);
    assertEquals(insideOf(name, version).length > 0, wasm, name);
  }
  assertEquals(faultsOf(packages), []);
  const old = { name: "@jsquash/webp", version: "1.5.0" };
  const shipped = { ...packages[0], ...old, shipped: true };
  assertEquals(faultsOf([...packages, shipped]), [
    "libwebp 1.1.0 in @jsquash/webp@1.5.0: CVE-2023-4863",
  ]);
  const unknown = { ...packages[0], name: "wasm-webp", version: "9.9.9" };
  assertThrows(
    () => insideOf(unknown.name, unknown.version),
    Error,
    "look what",
  );
  assert(
    JSON.stringify(cycloneDx(packages)).includes("pkg:generic/libwebp@1.3.2"),
  );
});
