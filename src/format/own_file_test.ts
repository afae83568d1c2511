/** Files that are found again by name, in folders that somebody else has filled. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { openOwnFile } from "./own_file.ts";
import { openRecords } from "./records.ts";

const UNIX = Deno.build.os !== "windows";

/** What stands at `name` in a folder, made by others; with `victim` outside of it. */
export const TRAPS: Readonly<
  Record<string, (path: string, victim: string) => void>
> = {
  "a link": (path, victim) => Deno.symlinkSync(victim, path),
  "a link to nothing": (path, victim) =>
    Deno.symlinkSync(`${victim}.new`, path),
  "a hard link": (path, victim) => Deno.linkSync(victim, path),
  "a folder": (path) => Deno.mkdirSync(path),
  "a pipe": (path) => {
    new Deno.Command("mkfifo", { args: [path] }).outputSync();
  },
  "a device": (path) => Deno.symlinkSync("/dev/zero", path),
};

Deno.test({
  name:
    "working files: no link, pipe, device or second name is opened, and nothing behind it changes",
  ignore: !UNIX,
  fn() {
    for (const [what, make] of Object.entries(TRAPS)) {
      const root = Deno.makeTempDirSync(), victim = `${root}/victim`;
      Deno.mkdirSync(`${root}/in`);
      Deno.writeTextFileSync(victim, "precious");
      const path = `${root}/in/name`;
      make(path, victim);
      for (
        const open of [
          () => openOwnFile(path),
          () => openOwnFile(path, { append: true }),
          () => openRecords(path, "key"),
        ]
      ) {
        const error = assertThrows(open, RangeError, "Cannot write");
        assertMatch(error.message, /; remove it, or choose another file$/);
      }
      assertEquals(Deno.readTextFileSync(victim), "precious", what);
      const names = [...Deno.readDirSync(root)].map((e) => e.name).sort();
      assertEquals(names, ["in", "victim"], what);
      Deno.removeSync(root, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "working files: what is swapped for a link while it is opened is noticed",
  ignore: !UNIX,
  fn() {
    const root = Deno.makeTempDirSync(), path = `${root}/name`;
    Deno.writeTextFileSync(`${root}/victim`, "precious");
    const { lstatSync } = Deno;
    for (const before of [true, false]) {
      if (before) Deno.writeTextFileSync(path, "mine");
      Deno.lstatSync = (p) => { // the look, and at once somebody's hand
        Deno.lstatSync = lstatSync;
        try {
          return lstatSync(p);
        } finally {
          if (before) Deno.removeSync(path);
          Deno.symlinkSync(`${root}/victim`, path);
        }
      };
      assertThrows(() => openOwnFile(path, { append: true }));
      Deno.removeSync(path);
    }
    assertEquals(Deno.readTextFileSync(`${root}/victim`), "precious");
    Deno.removeSync(root, { recursive: true });
  },
});

Deno.test("working files: one of ours is made, and opened again as it was", () => {
  const root = Deno.makeTempDirSync(), path = `${root}/name`;
  for (const expected of [0, 3]) {
    using file = openOwnFile(path, { append: true });
    assertEquals(file.statSync().size, expected);
    file.writeSync(new Uint8Array(3));
  }
  Deno.removeSync(root, { recursive: true });
});
