/**
 * Takes the screenshot of README: the web page with captions of the sample photos, in
 * docs/images/page.png. Needs Chromium.
 *
 *     deno run -A tools/screenshot.ts
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { BUNDLE, modelPath } from "../src/cli/model_path.ts";
import { open } from "../src/mod.ts";
import { listen } from "../src/server/mod.ts";
import { openPage } from "../tests/browser/chromium.ts";

const OUT = new URL("../docs/images/page.png", import.meta.url);
const PHOTOS = ["cat.jpg", "photographer.jpg"];

if (import.meta.main) {
  const path = modelPath(undefined);
  await using session = await open(path, { threads: 1 });
  const model = path.replace(/.*\/|\.safetensors$/g, "");
  const server = listen(session, { port: 0, model });
  try {
    await using opened = await openPage(server.url, {
      viewport: { width: 880, height: 600 },
      colorScheme: "light",
    });
    const { page } = opened;
    await page.getByText(/CPU, \d+ thread/).waitFor();
    await page.getByLabel("Choose photos").setInputFiles(
      PHOTOS.map((name) => fromFileUrl(new URL(`photos/${name}`, BUNDLE))),
    );
    await page.getByRole("button", { name: "Stop" })
      .and(page.locator(":disabled")).waitFor();
    await page.evaluate("scrollTo(0, 0)");
    await page.screenshot({ path: fromFileUrl(OUT), fullPage: true });
  } finally {
    await server.shutdown();
  }
}
