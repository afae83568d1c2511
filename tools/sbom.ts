/**
 * `deno task sbom`: every npm package of the lock file with version, integrity and
 * dependants, as CycloneDX 1.6 JSON. Packages that only tests or builds import have
 * the scope "excluded".
 * @module
 */

/** A lock file's npm part: "name@version" → integrity and dependencies. */
export interface Lock {
  readonly npm: Readonly<
    Record<
      string,
      { readonly integrity?: string; readonly dependencies?: readonly string[] }
    >
  >;
}

/** A package. */
export interface Package {
  readonly name: string;
  readonly version: string;
  readonly integrity: string | undefined;
  /** Imported, directly or not, by src/ outside of its tests. */
  readonly shipped: boolean;
}

/** The packages of a lock file; `roots` are what src/ imports. */
export function packagesOf(lock: Lock, roots: ReadonlySet<string>): Package[] {
  const shipped = new Set<string>();
  const keyOf = (name: string) =>
    name in lock.npm
      ? name
      : Object.keys(lock.npm).find((key) => nameOf(key) === name);
  const visit = (name: string) => {
    const key = keyOf(name);
    if (key === undefined || shipped.has(key)) return;
    shipped.add(key);
    for (const next of lock.npm[key].dependencies ?? []) visit(next);
  };
  for (const root of roots) visit(root);
  return Object.entries(lock.npm).map(([key, { integrity }]) => ({
    name: nameOf(key),
    version: key.slice(nameOf(key).length + 1).split("_")[0],
    integrity,
    shipped: shipped.has(key),
  }));
}

const nameOf = (key: string) => /^(@[^/]+\/)?[^@]+/.exec(key)![0];

/** npm packages that files of src/ import, without its tests: names as in deno.json. */
export function importsOf(
  folder: string,
  known: Readonly<Record<string, string>>,
): Set<string> {
  const names = new Set<string>();
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) {
      for (const n of importsOf(path, known)) names.add(n);
    } else if (/(?<!_test)\.ts$/.test(name)) {
      const text = Deno.readTextFileSync(path);
      for (
        const [, from] of text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)
      ) {
        const root = Object.keys(known).find((k) =>
          from === k || from.startsWith(`${k}/`)
        );
        const npm = root && /^npm:((?:@[^/]+\/)?[^@]+)@/.exec(known[root]);
        if (npm) names.add(npm[1]);
      }
    }
  }
  return names;
}

/** C code that packages hold, compiled to WebAssembly: by package and version. */
const INSIDE: Readonly<
  Record<
    string,
    Readonly<Record<string, readonly (readonly [string, string])[]>>
  >
> = {
  // It does not tell; its copyright, "1991-2017 The libjpeg-turbo Project", is that of 3.3.1.
  "@jsquash/jpeg": { "1.6.0": [["mozjpeg", "3.3.1"]] },
  "@jsquash/webp": { "1.5.0": [["libwebp", "1.1.0"]] },
  // It tells: src/image/webp_test.ts asks it.
  "wasm-webp": { "0.1.0": [["libwebp", "1.3.2"]] },
};

/** Faults of C code: the first version without. */
const FAULTS = [
  ["libwebp", "1.3.2", "CVE-2023-4863"],
] as const;

/** What is inside a package: name and version each. */
export function insideOf(name: string, version: string) {
  if (!Object.hasOwn(INSIDE, name)) return [];
  const inside = INSIDE[name][version];
  if (inside) return inside;
  throw new Error(
    `Cannot tell what C code is in ${name}@${version}: look what it is made of, and add it to INSIDE`,
  );
}

/** Known faults of the C code in what is shipped, one sentence each. */
export function faultsOf(packages: readonly Package[]): string[] {
  return packages.filter((p) => p.shipped).flatMap((p) =>
    insideOf(p.name, p.version).flatMap(([library, version]) =>
      FAULTS.filter(([name, good]) =>
        name === library &&
        version.localeCompare(good, "en", { numeric: true }) < 0
      ).map(([, , fault]) =>
        `${library} ${version} in ${p.name}@${p.version}: ${fault}`
      )
    )
  );
}

/** The packages as CycloneDX. */
export function cycloneDx(packages: readonly Package[]): object {
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    components: packages.map(({ name, version, integrity, shipped }) => {
      const [algorithm, hash] = integrity?.split(/-(.*)/s) ?? [];
      return {
        type: "library",
        name,
        version,
        purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
        scope: shipped ? "required" : "excluded",
        hashes: hash
          ? [{
            alg: algorithm.toUpperCase().replace("SHA", "SHA-"),
            content: Uint8Array.fromBase64(hash).toHex(),
          }]
          : [],
        components: insideOf(name, version).map(([name, version]) => ({
          type: "library",
          name,
          version,
          purl: `pkg:generic/${name}@${version}`,
        })),
      };
    }),
  };
}

/** The packages of the checkout in `root`. */
export function packagesIn(root: string): Package[] {
  const read = (name: string) =>
    JSON.parse(Deno.readTextFileSync(`${root}/${name}`));
  return packagesOf(
    read("deno.lock"),
    importsOf(`${root}/src`, read("deno.json").imports),
  );
}

if (import.meta.main) {
  console.log(JSON.stringify(cycloneDx(packagesIn(".")), null, 1));
}
