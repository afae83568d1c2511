/** Files that a killed writer leaves behind, and their cleanup. */
import { assertEquals, assertThrows } from "@std/assert";
import {
  sweep,
  writeAll,
  writeAtomically,
} from "../../src/format/atomic_write.ts";

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const names = () => [...Deno.readDirSync(folder)].map((e) => e.name).sort();
const text = (path: string) => Deno.readTextFileSync(`${folder}/${path}`);

Deno.test("temporary files of dead writers are swept, those of living ones and of others stay", () => {
  const dead = ".model.1.tmp", living = ".model.2.tmp";
  const others = [".model.1.tmp.bak", ".models.1.tmp", "model.1.tmp"];
  for (const name of [dead, living, ...others]) {
    Deno.writeTextFileSync(`${folder}/${name}`, "half");
  }
  Deno.symlinkSync(`${folder}/model.1.tmp`, `${folder}/.model.3.tmp`);
  using held = Deno.openSync(`${folder}/${living}`, { write: true });
  held.lockSync(true);
  sweep(`${folder}/model`);
  assertEquals(names(), [living, ".model.3.tmp", ...others].sort());
  writeAtomically(`${folder}/model`, (file) => writeAll(file, whole));
  assertEquals(text("model"), "whole");
});

Deno.test("a temporary file that another user made is not written to", () => {
  const trap = `${folder}/.x.${Deno.pid}.tmp`;
  Deno.writeTextFileSync(`${folder}/precious`, "precious");
  Deno.symlinkSync(`${folder}/precious`, trap);
  assertThrows(
    () => writeAtomically(`${folder}/x`, (file) => writeAll(file, whole)),
    Deno.errors.AlreadyExists,
  );
  assertEquals(text("precious"), "precious");
});

const whole = new TextEncoder().encode("whole");

Deno.test("a sweep of several files takes their temporary files alone, whatever their names", () => {
  const place = Deno.makeTempDirSync();
  const write = (name: string) =>
    Deno.writeTextFileSync(`${place}/${name}`, "half");
  const long = "\u00e9".repeat(126) + ".md"; // 255 bytes
  const left = Array.from({ length: 3 }, (_, i) => `.a.txt.${i}.tmp`);
  const theirs = [".notes.txt.2024.tmp", ".a.txt.x.tmp", ".b\n.txt.1.tmp"];
  for (const name of [...left, ...theirs]) write(name);
  using held = Deno.openSync(`${place}/${left[2]}`, { write: true });
  held.lockSync(true);
  writeAtomically(`${place}/${long}`, (file) => {
    assertEquals([...Deno.readDirSync(place)].length, 7);
    sweep([`${place}/a.txt`, `${place}/${long}`]); // the living one stays
    writeAll(file, whole);
  });
  const names = [...Deno.readDirSync(place)].map((e) => e.name).sort();
  assertEquals(names, [left[2], ...theirs, long].sort());
  Deno.removeSync(place, { recursive: true });
});

Deno.test({
  name:
    "a file that others may not read is never open to them while it is written",
  ignore: Deno.build.os === "windows",
  fn() {
    const place = Deno.makeTempDirSync();
    const modes: number[] = [];
    writeAtomically(`${place}/page`, () => {
      for (const { name } of Deno.readDirSync(place)) {
        modes.push(Deno.statSync(`${place}/${name}`).mode! & 0o777);
      }
    }, 0o600);
    modes.push(Deno.statSync(`${place}/page`).mode! & 0o777);
    assertEquals(modes, [0o600, 0o600]);
    Deno.removeSync(place, { recursive: true });
  },
});
