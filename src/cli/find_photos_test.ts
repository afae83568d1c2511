import { assertEquals, assertMatch } from "@std/assert";
import { dirname } from "@std/path";
import { findPhotos } from "./find_photos.ts";

function folder(names: readonly string[]): string {
  const root = Deno.makeTempDirSync();
  for (const name of names) {
    Deno.mkdirSync(dirname(`${root}/${name}`), { recursive: true });
    Deno.writeTextFileSync(`${root}/${name}`, name);
  }
  return root;
}

Deno.test("folders are walked by name, links and hidden files left out, each photo once", () => {
  const root = folder([
    ...["b.jpg", "a.PNG", "notes.txt", "c/d/e.webp", "c/f.jpeg", ".x/y.jpg"],
    ...[".z.jpg", "out/secret.jpg"],
  ]);
  try {
    Deno.symlinkSync("/etc", `${root}/c/etc`);
    Deno.symlinkSync(`${root}/b.jpg`, `${root}/link.jpg`);
    const short = (paths: readonly string[]) =>
      paths.map((p) => p.slice(root.length + 1));
    const all = findPhotos([`${root}/b.jpg`, root]);
    assertEquals(short(all.photos), [
      ...["b.jpg", "a.PNG", "c/d/e.webp", "c/f.jpeg", "out/secret.jpg"],
    ]);
    assertEquals(short(all.links), ["c/etc", "link.jpg"]);
    assertEquals(all.problems, []);
    assertEquals(all.folders, [root]);
    const glob = (pattern: string) =>
      short(findPhotos([`${root}/${pattern}`]).photos);
    assertEquals(glob("*.{jpg,PNG}"), ["a.PNG", "b.jpg"]);
    assertEquals(glob("c/**/*.webp"), ["c/d/e.webp"]);
    assertEquals(glob("?.jpg"), ["b.jpg"]);
    assertEquals(glob("**"), [
      ...["a.PNG", "b.jpg", "c/d/e.webp", "c/f.jpeg", "out/secret.jpg"],
    ]);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});

Deno.test("what names nothing, or a link, is a problem of its own", () => {
  const root = folder(["notes.txt", "b.jpg"]);
  try {
    Deno.symlinkSync(`${root}/b.jpg`, `${root}/link.jpg`);
    Deno.symlinkSync(root, `${root}/loop`);
    const cases: [string, RegExp][] = [
      ["link.jpg", /it is a symbolic link, .*; give its target$/],
      ["loop", /it is a symbolic link/],
      ["*.png", /no file has such a name; check the pattern$/],
    ];
    for (const [name, want] of cases) {
      const { photos, problems } = findPhotos([`${root}/${name}`]);
      assertEquals(photos, []);
      assertMatch(problems[0][1].message, want);
    }
    Deno.removeSync(`${root}/b.jpg`);
    assertMatch(
      findPhotos([root]).problems[0][1].message,
      /no JPEG, PNG or WebP in it; check the path$/,
    );
    // A watched folder may be empty yet; a link is refused all the same.
    const watched = (...names: string[]) =>
      findPhotos(names.map((n) => root + n), { mayBeEmpty: true }).problems;
    assertEquals(watched("", "/*.png"), []);
    assertEquals(watched("", "/link.jpg").length, 1);
    // A missing file is found out when it is read: it may be a pipe's name.
    assertEquals(findPhotos([`${root}/no.jpg`, "-"]).photos, [
      ...[`${root}/no.jpg`, "-"],
    ]);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
