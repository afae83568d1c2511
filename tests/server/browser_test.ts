/** The web page in a real Chromium; skipped where there is none. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { listen } from "../../src/server/mod.ts";
import { hasChromium, openPage, type Page } from "./chromium.ts";
import { fake, toySession } from "./fake.ts";

const ignore = !hasChromium();
if (ignore) {
  console.log("There is no chromium here: the web page is not tested in it.");
}

const PHOTOS = fromFileUrl(
  new URL("../../models/flickr-mini/photos/", import.meta.url),
);
const READY = "document.getElementById('about').textContent.includes('CPU')";
const IDLE = "document.querySelectorAll('.working').length === 0 && " +
  "[...document.querySelectorAll('.times')].every(t => t.textContent !== 'waiting')";
const status = (page: Page) =>
  page.value<string>("document.getElementById('status').textContent");
const texts = (page: Page) =>
  page.value<string[]>(
    "[...document.querySelectorAll('.text')].map(t => t.textContent)",
  );

Deno.test({
  name:
    "a batch is captioned, a bad file is told, JSONL is saved, the text copied",
  ignore,
  async fn() {
    await using session = await toySession();
    const server = listen(session, { port: 0, model: "toy" });
    const folder = await Deno.makeTempDir();
    try {
      await using page = await openPage(server.url);
      await page.until(READY);
      await Deno.writeTextFile(`${folder}/words.jpg`, "these are words");
      await page.choose("#files", [
        `${PHOTOS}cat.jpg`,
        `${folder}/words.jpg`,
        `${PHOTOS}astronaut.jpg`,
      ]);
      await page.until(`document.querySelectorAll('li').length === 3`);
      await page.until(IDLE);
      const [cat, words, astronaut] = await texts(page);
      assert(cat.length > 0 && astronaut.length > 0);
      assertMatch(words, /^Cannot read the image: .*JPEG, PNG or WebP$/);
      assertEquals(
        await page.value("document.querySelectorAll('.failed').length"),
        1,
      );
      assertMatch(await status(page), /^astronaut\.jpg: /);
      assertMatch(
        await page.value("document.querySelector('.times').textContent"),
        /^\d+\.\d\d s: photo .* first word after .* \d+ tokens/,
      );
      // What would be saved is read from the blob behind the link.
      await page.value(`(() => {
        globalThis.saved = undefined;
        HTMLAnchorElement.prototype.click = function () {
          globalThis.saved = fetch ? this.download : '';
        };
        const make = URL.createObjectURL;
        URL.createObjectURL = (b) => (b.text().then(t => globalThis.lines = t), make(b));
        document.getElementById('save').click();
      })()`);
      await page.until("globalThis.lines !== undefined");
      assertEquals(await page.value("globalThis.saved"), "captions.jsonl");
      const lines = (await page.value<string>("globalThis.lines")).trimEnd()
        .split("\n").map((line) => JSON.parse(line));
      assertEquals(lines.map((l) => [l.file, l.caption]), [
        ["cat.jpg", cat],
        ["astronaut.jpg", astronaut],
      ]);
      await page.call("Browser.grantPermissions", {
        permissions: ["clipboardReadWrite", "clipboardSanitizedWrite"],
      });
      await page.value("document.querySelector('.copy').click()");
      await page.until(
        "/^(Copied|Selected) the text/.test(document.getElementById('status').textContent)",
      );
      await page.call("Emulation.setDeviceMetricsOverride", {
        width: 390,
        height: 844,
        deviceScaleFactor: 1,
        mobile: true,
      });
      assertEquals(
        await page.value("document.documentElement.scrollWidth"),
        390,
      );
      // The refused image is an error of the network, nothing else is one.
      assertEquals(page.errors.filter((e) => !/400 \(Bad/.test(e)), []);
    } finally {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "words appear as they come, Stop stops, the keyboard reaches all",
  ignore,
  async fn() {
    const session = fake({ pieces: 1000, held: true });
    const apiKey = "a key-of-many-letters".replace(" ", "-");
    const server = listen(session, { port: 0, model: "toy", apiKey });
    try {
      await using page = await openPage(server.url);
      await page.until("!document.getElementById('key-row').hidden");
      await page.value(`(() => {
        const key = document.getElementById('key');
        key.value = ${JSON.stringify(apiKey)};
        key.dispatchEvent(new Event('change'));
      })()`);
      await page.until(READY);
      await page.choose("#files", [`${PHOTOS}cat.jpg`, `${PHOTOS}cat.jpg`]);
      await page.until("document.querySelector('.text')?.textContent === 'a'");
      assertEquals(session.running(), 1);
      assertMatch(await status(page), /^Looking at cat\.jpg/);
      await page.value("document.getElementById('stop').click()");
      await page.until(IDLE);
      assertEquals(await status(page), "Stopped.");
      assertEquals(session.begun.length, 1);
      for (let i = 0; session.running() > 0 && i < 100; i++) {
        await new Promise((done) => setTimeout(done, 10));
      }
      assertEquals(session.running(), 0);
      const order: string[] = [];
      for (let i = 0; i < 9; i++) {
        await page.press("Tab", 9);
        order.push(
          await page.value(
            "document.activeElement.id || document.activeElement.value || document.activeElement.getAttribute('aria-label')",
          ),
        );
      }
      assertEquals(order.slice(0, 5), [
        "files",
        "caption",
        "clear",
        "Ask again about cat.jpg",
        "Ask again about cat.jpg",
      ]);
      assertEquals(
        page.errors.filter((e) => !/401 \(Unauth/.test(e)),
        [],
      );
    } finally {
      session.open();
      await server.shutdown();
    }
  },
});
