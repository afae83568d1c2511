/** The web page in Chromium, as a user operates it. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { listen } from "../../src/server/mod.ts";
import { violations } from "../browser/accessible.ts";
import { openPage, withoutChromium } from "../browser/chromium.ts";
import { fake, toySession, until } from "./fake.ts";

const ignore = withoutChromium("the server's page");

const PHOTOS = fromFileUrl(
  new URL("../../models/photo-mini/photos/", import.meta.url),
);

const ready = (page: Page) => page.getByText(/CPU, \d+ thread/).waitFor();
/** Waits until all photos have been answered. */
const idle = (page: Page) =>
  page.getByRole("button", { name: "Stop" }).and(page.locator(":disabled"))
    .waitFor();
const status = (page: Page) => page.getByRole("status").textContent();

Deno.test({
  name:
    "a batch is captioned, a bad file is told, JSONL is saved, text and HTML are copied",
  ignore,
  async fn() {
    await using session = await toySession();
    const server = listen(session, { port: 0, model: "toy" });
    try {
      await using opened = await openPage(server.url, {
        permissions: ["clipboard-read", "clipboard-write"],
      });
      const { page, errors } = opened;
      await ready(page);
      const named = (name: string, buffer: Buffer) => ({
        name,
        mimeType: "image/jpeg",
        buffer,
      });
      const astronaut = 'an "astronaut" & <i>.jpg';
      await page.getByLabel("Choose photos").setInputFiles([
        named("cat.jpg", Buffer.from(await Deno.readFile(`${PHOTOS}cat.jpg`))),
        named("words.jpg", Buffer.from("these are words")),
        named(
          astronaut,
          Buffer.from(await Deno.readFile(`${PHOTOS}astronaut.jpg`)),
        ),
      ]);
      await idle(page);
      const answers = page.getByRole("listitem");
      assertEquals(await answers.count(), 3);
      const texts = await answers.locator(".text").allTextContents();
      assert(texts[0].length > 0 && texts[2].length > 0);
      assertMatch(texts[1], /^Cannot read the image: .*JPEG, PNG or WebP$/);
      assertEquals(await status(page), `${astronaut}: ${texts[2]}`);
      assertMatch(
        (await answers.nth(0).locator(".times").textContent())!,
        /^\d+\.\d\d s · photo \d.* · first word \d.* · \d+ tokens? · \d+ tokens\/s/,
      );

      const saving = page.waitForEvent("download");
      await page.getByRole("button", { name: "Download JSONL" }).click();
      const saved = await saving;
      assertEquals(saved.suggestedFilename(), "captions.jsonl");
      const lines = (await Deno.readTextFile(await saved.path())).trimEnd()
        .split("\n").map((line) => JSON.parse(line));
      assertEquals(
        lines.map((l) => [l.file, l.caption, l.prompt, l.model]),
        [["cat.jpg", texts[0]], [astronaut, texts[2]]].map((both) => [
          ...both,
          "Describe this image.",
          "toy",
        ]),
      );

      const copied = () =>
        page.evaluate<string>("navigator.clipboard.readText()");
      await page.getByRole("button", { name: "Copy text of cat.jpg" }).click();
      await page.getByText("Copied:").waitFor();
      assertEquals(await copied(), texts[0]);
      // What is copied as HTML says name and text, whatever is in them.
      await page.getByRole("button", { name: `Copy HTML of ${astronaut}` })
        .click();
      await page.getByText("Copied: <img").waitFor();
      const blank = await page.context().newPage();
      await blank.setContent(await copied());
      const image = blank.locator("img");
      assertEquals(await image.getAttribute("src"), astronaut);
      assertEquals(await image.getAttribute("alt"), texts[2]);
      await page.bringToFront();

      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        assertEquals(await violations(page), [], colorScheme);
      }
      await page.setViewportSize({ width: 360, height: 740 });
      assertEquals(
        await page.evaluate("document.documentElement.scrollWidth"),
        360,
      );
      await page.getByRole("button", { name: "Clear" }).click();
      assertEquals(await answers.count(), 0);
      // The refused image is an error of the network, nothing else is one.
      assertEquals(errors.filter((e) => !/400 \(Bad/.test(e)), []);
    } finally {
      await server.shutdown();
    }
  },
});

Deno.test({
  name: "dropped, pasted and asked for alt text: the photo comes in every way",
  ignore,
  async fn() {
    const session = fake();
    const server = listen(session, { port: 0, model: "toy" });
    try {
      await using opened = await openPage(server.url);
      const { page, errors } = opened;
      await ready(page);
      await page.getByText("Alt text").click();
      for (const kind of ["drop", "paste"]) {
        await page.evaluate(`{
          const data = new DataTransfer(), kind = "${kind}";
          const bytes = Uint8Array.of(0xff, 0xd8, 0xff);
          data.items.add(new File([bytes], kind + ".jpg", { type: "image/jpeg" }));
          dispatchEvent(
            kind === "drop"
              ? new DragEvent(kind, { dataTransfer: data, cancelable: true })
              : new ClipboardEvent(kind, { clipboardData: data }),
          );
        }`);
      }
      await page.getByText("Question").first().click();
      await page.getByLabel("Question", { exact: true }).last().fill("Who?");
      await page.getByLabel("Choose photos").setInputFiles(`${PHOTOS}cat.jpg`);
      await page.getByText("cat.jpg: a b c").waitFor();
      await idle(page);
      assertEquals(session.begun, [
        "[image]Write a short alt text for this image.",
        "[image]Write a short alt text for this image.",
        "[image]Who?",
      ]);
      assertEquals(
        await page.getByRole("heading", { level: 3 }).allTextContents(),
        [
          "drop.jpg",
          "paste.jpg",
          "cat.jpg",
        ],
      );
      assertEquals(
        await page.locator("#camera").getAttribute("capture"),
        "environment",
      );
      assertEquals(errors, []);
    } finally {
      await server.shutdown();
    }
  },
});

Deno.test({
  name:
    "words appear as they come, Stop stops, the key is asked for, the keyboard reaches all",
  ignore,
  async fn() {
    const session = fake({ pieces: 1000, held: true });
    const apiKey = "a-key-of-many-letters";
    const server = listen(session, { port: 0, model: "toy", apiKey });
    try {
      await using opened = await openPage(server.url, { colorScheme: "dark" });
      const { page, errors } = opened;
      await page.getByLabel("API key").fill("wrong-key");
      await page.keyboard.press("Enter");
      await page.getByText("This API key is wrong").waitFor();
      await page.getByLabel("API key").fill(apiKey);
      await page.keyboard.press("Enter");
      await ready(page);
      await page.getByLabel("Choose photos").setInputFiles([
        `${PHOTOS}cat.jpg`,
        `${PHOTOS}astronaut.jpg`,
      ]);
      await page.locator(".text").first().getByText("a", { exact: true })
        .waitFor();
      assertEquals(session.running(), 1);
      assertEquals(await status(page), "Describing cat.jpg, 1 waiting …");
      await page.getByRole("button", { name: "Stop" }).click();
      await idle(page);
      assertEquals(await status(page), "Stopped.");
      assertEquals(session.begun.length, 1);
      await until(() => session.running() === 0, "the answer ends");
      // From the top of the page by Tab alone.
      await page.evaluate("document.body.tabIndex = -1, document.body.focus()");
      const order: string[] = [];
      for (let i = 0; i < 5; i++) {
        await page.keyboard.press("Tab");
        order.push(
          await page.evaluate(
            "(({ id, ariaLabel, value }) => id || ariaLabel || value)(document.activeElement)",
          ),
        );
      }
      assertEquals(order, [
        "files",
        "caption",
        "clear",
        "Ask again about cat.jpg",
        "Ask again about astronaut.jpg",
      ]);
      // A radio group is one stop; arrows move within it.
      await page.locator("[value=caption]").focus();
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      assert(await page.getByRole("textbox", { name: "Question" }).isVisible());
      assertEquals(errors.filter((e) => !/401 \(Unauth/.test(e)), []);
    } finally {
      session.open();
      await server.shutdown();
    }
  },
});
