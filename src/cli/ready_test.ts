/** What the server tells of itself; the example unit's command line. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { parse } from "./command.ts";
import { readiness } from "./ready.ts";
import serve from "./serve.ts";

Deno.test({
  name:
    "the ready file is there while the server is ready, never through a link",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = Deno.makeTempDirSync(), file = `${folder}/ready`;
    try {
      const said: string[] = [];
      {
        using told = readiness(file, (text) => said.push(text));
        await told.ready();
        assertEquals(Deno.readTextFileSync(file), `${Deno.pid}\n`);
        await told.stopping();
      }
      assertEquals([...Deno.readDirSync(folder)], []);
      Deno.writeTextFileSync(file, "left by a server that was killed");
      {
        using told = readiness(file, (text) => said.push(text));
        await told.ready();
        assertEquals(Deno.readTextFileSync(file), `${Deno.pid}\n`);
      }
      assertEquals(said, []);
      Deno.writeTextFileSync(`${folder}/other`, "theirs");
      Deno.symlinkSync(`${folder}/other`, file);
      {
        using told = readiness(file, (text) => said.push(text));
        await told.ready();
      }
      assertEquals(Deno.readTextFileSync(`${folder}/other`), "theirs");
      assert(Deno.lstatSync(file).isSymlink);
      assertMatch(
        said[0],
        /^Cannot write the ready file: it exists and is not a regular file/,
      );
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test("the example unit starts what there is, with options that it has", () => {
  const root = fromFileUrl(new URL("../../", import.meta.url));
  const unit = Deno.readTextFileSync(`${root}examples/systemd/mquant.service`);
  const [, line] = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(unit)!;
  const words = line.replaceAll("\\\n", " ").trim().split(/\s+/);
  const main = words.indexOf("src/cli/main.ts");
  assertEquals(words.slice(0, 2), ["/usr/local/bin/deno", "run"]);
  assertEquals(words[main + 1], "serve");
  const { values } = parse(serve, words.slice(main + 2));
  const net = `--allow-net=127.0.0.1:${values.port}`;
  assert(words.some((word) => word.startsWith(net)));
  for (const [file] of unit.matchAll(/\bsrc\/\S+\.ts\b/g)) {
    assert(Deno.statSync(root + file).isFile, file);
  }
});
