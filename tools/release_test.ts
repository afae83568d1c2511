/** A release is verified by its hashes and its signature. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { check, newKey, releasedFiles, sign } from "./release.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));

/** A checkout of little: each released file and folder, the latter with one file. */
function checkout(): string {
  const root = Deno.makeTempDirSync();
  for (const folder of ["src", "kernels", "models/photo-mini", "tools/std"]) {
    Deno.mkdirSync(`${root}/${folder}`, { recursive: true });
    Deno.writeTextFileSync(`${root}/${folder}/a.ts`, folder);
  }
  for (const name of ["README.md", "SECURITY.md", "LICENSE"]) {
    Deno.writeTextFileSync(`${root}/${name}`, name);
  }
  for (const name of ["deno.json", "deno.lock"]) {
    Deno.copyFileSync(`${ROOT}${name}`, `${root}/${name}`);
  }
  return root;
}

Deno.test("what is signed is found whole; a changed, lost or added file, another key or sum is told", async () => {
  const root = checkout(), out = `${root}/dist/release`;
  try {
    const key = `${root}/release.pem`, open = await newKey(key);
    assertEquals(open, `${root}/release.pub`);
    await assertRejects(() => newKey(key), Deno.errors.AlreadyExists);
    if (Deno.build.os !== "windows") {
      assertEquals(Deno.statSync(key).mode! & 0o777, 0o600);
    }
    await sign(root, out, key);
    assertEquals(await check(root, out, open), []);
    const other = await newKey(`${root}/other.pem`);
    assertEquals(await check(root, out, other), [
      `${out}/SHA256SUMS was not signed with the key of ${other}`,
    ]);
    Deno.writeTextFileSync(`${root}/src/a.ts`, "changed");
    Deno.writeTextFileSync(`${root}/src/b.ts`, "added");
    Deno.removeSync(`${root}/LICENSE`);
    Deno.writeTextFileSync(`${root}/kernels/.hidden`, "not released");
    assertEquals(await check(root, out, open), [
      "LICENSE is missing",
      "src/a.ts differs",
      "src/b.ts does not belong to it",
    ]);
    const sums = Deno.readTextFileSync(`${out}/SHA256SUMS`);
    Deno.writeTextFileSync(`${out}/SHA256SUMS`, sums.replace("a", "b"));
    assertEquals((await check(root, out, open)).length, 1);
    await assertRejects(() => sign(root, out, key), Error, "no LICENSE");
    Deno.writeTextFileSync(`${root}/LICENSE`, "LICENSE");
    await assertRejects(() => sign(root, out, open), Error, "PRIVATE KEY");
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("a release has the model, the kernels and all that is published", () => {
  const files = releasedFiles(ROOT);
  for (
    const path of [
      "models/photo-mini/photo-mini.w4a8.safetensors",
      "src/kernels/generated/simd.ts",
      "src/mod.ts",
    ]
  ) {
    assert(files.includes(path), path);
  }
});
