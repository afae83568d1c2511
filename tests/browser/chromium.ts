/**
 * Pages in headless Chromium, by Playwright: user actions, and all errors that a page
 * logs.
 * @module
 */
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

const installed = PATHS.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** Whether there is no Chromium here; says so. */
export function withoutChromium(what: string): boolean {
  if (installed) return false;
  console.log(`There is no chromium here: ${what} is not tested in it.`);
  return true;
}

/** A page, and a browser of its own that ends with it. */
export interface Opened extends AsyncDisposable {
  readonly page: Page;
  /** What the page has logged as an error: scripts, refused loads, its policy. */
  readonly errors: string[];
}

/** Opens `url`. */
export async function openPage(
  url: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const browser: Browser = await chromium.launch({
    executablePath: installed!,
    args: ["--no-sandbox", "--disable-dev-shm-usage"], // it shows our own pages only
  });
  try {
    const page = await (await browser.newContext(options)).newPage();
    page.setDefaultTimeout(20_000);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
    });
    await page.goto(url);
    return {
      page,
      errors,
      [Symbol.asyncDispose]: () => browser.close(),
    };
  } catch (error) {
    await browser.close();
    throw error;
  }
}
