/** The same model in Deno and in Chromium: same text, same bits. */
import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { open } from "../../src/mod.ts";
import { fileSource } from "../../src/format/source.ts";
import { buildDemo, bundleFor, serveFolder } from "../../tools/browser.ts";
import { logitsHash } from "../../tools/logits_hash.ts";
import { openPage, withoutChromium } from "./chromium.ts";

const ignore = withoutChromium("the demo of the browser");
const MODEL = new URL(
  "../../models/photo-mini/photo-mini.w4a8.safetensors",
  import.meta.url,
);
const PHOTOS = new URL("../../models/photo-mini/photos/", import.meta.url);
const NAMES = ["cat.jpg", "astronaut.jpg", "photographer.jpg"];

Deno.test({
  name:
    "the demo captions without a server: same words as Deno, with threads where isolated and without",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await buildDemo(folder);
      const said: string[] = [];
      {
        await using session = await open(MODEL, { threads: 1 });
        for (const name of NAMES) {
          const photo = await Deno.readFile(new URL(name, PHOTOS));
          said.push((await session.caption(photo)).text);
        }
      }
      for (const isolated of [true, false]) {
        await using server = serveFolder(folder, { port: 0, isolated });
        await using opened = await openPage(
          `http://127.0.0.1:${server.addr.port}/`,
        );
        const { page, errors } = opened;
        assertEquals(await page.evaluate("crossOriginIsolated"), isolated);
        const about = page.getByText(/CPU, \d+ threads?, (relaxed|simd) SIMD/);
        await about.waitFor();
        const threads = isolated
          ? Math.min(navigator.hardwareConcurrency, 4)
          : 1;
        assertMatch((await about.textContent())!, RegExp(` ${threads} thread`));
        // From here on nothing is loaded: the photos stay in the page.
        const loaded: string[] = [];
        page.on("request", (request) => loaded.push(request.url()));
        await page.getByLabel("Choose photos").setInputFiles(
          NAMES.map((name) => fromFileUrl(new URL(name, PHOTOS))),
        );
        await page.getByText(`photographer.jpg: ${said[2]}`).waitFor();
        assertEquals(await page.locator(".text").allTextContents(), said);
        const again = page.getByRole("button", { name: "Ask again about" });
        for (let i = 0; i < 3; i++) await again.nth(i).click();
        await page.getByRole("button", { name: "Stop" }).click();
        await page.getByText("Stopped.").waitFor();
        assertEquals(
          loaded.map((url) => url.replace(/.*\//, "")).filter((name) =>
            name !== "mozjpeg_dec.wasm" && !/^[0-9a-f-]{36}$/.test(name) // blob: shows a photo
          ),
          [],
        );
        assertEquals(errors, []);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name:
    "logits of a page have Deno's bits: both builds, one thread and two, page and worker",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await bundleFor(folder, "logits.js", "tests/browser/logits_entry.ts");
      await bundleFor(folder, "mquant.js", "src/mod.ts");
      await Deno.copyFile(MODEL, join(folder, "photo-mini.w4a8.safetensors"));
      await Deno.writeTextFile(
        join(folder, "index.html"),
        `<!doctype html><link rel="icon" href="data:,">`,
      );
      await using server = serveFolder(folder, { port: 0 });
      await using opened = await openPage(
        `http://127.0.0.1:${server.addr.port}/`,
      );
      const { page, errors } = opened;
      const [here] = await logitsHash(fileSource(MODEL), "simd", 1);
      assertMatch(here, /^[0-9a-f]{64}$/);
      for (const build of ["simd", "relaxed"]) {
        for (const threads of [1, 2]) {
          const there = await page.evaluate(`new Promise((done, refuse) => {
            const worker = new Worker("logits.js", { type: "module" });
            worker.onmessage = ({ data }) => done(data);
            worker.onerror = ({ message }) => refuse(new Error(message));
            worker.postMessage(
              [new URL("photo-mini.w4a8.safetensors", location).href, "${build}", ${threads}]);
          })`);
          assertEquals(there, [here], `${build}, ${threads} threads`);
        }
      }
      // The example of docs/browser.md, in the page's own thread, which may not wait.
      const guide = await Deno.readTextFile(
        new URL("../../docs/browser.md", import.meta.url),
      );
      const [, example] = /```js ignore\n([^]*?)```/.exec(guide)!;
      const photo = new URL("cat.jpg", PHOTOS);
      await Deno.copyFile(photo, join(folder, "photo.jpg"));
      await Deno.writeTextFile(
        join(folder, "example.js"),
        `${example}\nexport { info, text };`,
      );
      const { info, text } = await page.evaluate<
        { info: { threads: number }; text: string }
      >(`import("/example.js").then(({ info, text }) => ({ info, text }))`);
      assertEquals(info.threads, 1);
      await using session = await open(MODEL, { threads: 1 });
      const deno = await session.caption(await Deno.readFile(photo));
      assertEquals(text, deno.text);
      assertEquals(errors, []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
