/** What a killed writer leaves behind, and who cleans up. */
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

Deno.test("a temporary file that another made is not written through", () => {
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
