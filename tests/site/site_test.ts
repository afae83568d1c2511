/** The documentation as a site: complete, self-contained, searchable. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join, toFileUrl } from "@std/path";
import { buildSite } from "../../tools/site/build.ts";
import { anchorOf, render } from "../../tools/site/markdown.ts";
import { violations } from "../browser/accessible.ts";
import { openPage, withoutChromium } from "../browser/chromium.ts";

const ignore = withoutChromium("the search of the site");

function pages(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory
      ? pages(join(folder, name))
      : name.endsWith(".html")
      ? [join(folder, name)]
      : []
  );
}

Deno.test("the site: every link leads somewhere, nothing comes from elsewhere, the search finds", async (t) => {
  const folder = await Deno.makeTempDir();
  try {
    await buildSite(folder, { demo: false });
    const all = pages(folder).filter((path) =>
      !path.startsWith(join(folder, "api"))
    );
    const text = new Map(
      all.map((path) => [path, Deno.readTextFileSync(path)]),
    );

    await t.step("links and anchors", () => {
      const broken: string[] = [];
      let links = 0;
      for (const [path, html] of text) {
        for (const [, link] of html.matchAll(/<a [^>]*href="([^"]*)"/g)) {
          if (/^(https?|mailto):/.test(link)) continue;
          links++;
          const target = new URL(link, toFileUrl(path));
          const file = fromFileUrl(new URL(target.pathname, "file:///"));
          const page = text.get(file);
          const anchor = decodeURIComponent(target.hash.slice(1));
          const good = page === undefined
            ? pages(join(folder, "api")).includes(file)
            : anchor === "" || page.includes(`id="${anchor}"`);
          if (!good) broken.push(`${path.slice(folder.length)}: ${link}`);
        }
      }
      assertEquals(broken, []);
      assert(links > 500 && all.length > 40);
    });

    await t.step("one title each, nothing loaded from elsewhere", () => {
      for (const [path, html] of text) {
        assertEquals(html.match(/<h1[ >]/g)?.length, 1, path);
        assertMatch(html, /<title>[^<]+<\/title>/);
        const loaded = html.matchAll(
          /<(?:script|link|img|iframe)[^>]* (?:src|href)="([^"]*)"/g,
        );
        for (const [, url] of loaded) {
          assert(!/^(https?:)?\/\//.test(url), `${path}: ${url}`);
          if (!url.startsWith("data:")) {
            assert(Deno.statSync(new URL(url, toFileUrl(path))).size > 0);
          }
        }
      }
    });

    await t.step({
      name:
        "search, list of pages, keyboard, phone: from a folder, in Chromium",
      ignore,
      async fn() {
        await using opened = await openPage(
          toFileUrl(join(folder, "recipes", "archive.html")).href,
        );
        const { page, errors } = opened;
        await page.keyboard.press("/");
        await page.keyboard.type("DeepStack");
        const found = page.locator("#found li");
        await found.first().waitFor();
        assertMatch(
          (await page.locator("#found [role=status]").textContent())!,
          /^\d+ sections?$/,
        );
        await page.keyboard.press("Control+A");
        await page.keyboard.type("retry-after queue_full");
        await page.getByRole("link", { name: "The server: Limits" }).waitFor();
        await page.keyboard.press("Tab");
        await page.keyboard.press("Enter");
        await page.waitForURL(/server\.html#limits$/);
        assertEquals(
          await page.locator('nav [aria-current="page"]').textContent(),
          "The server",
        );
        await page.keyboard.press("/");
        await page.keyboard.type("zebra qwertz");
        await page.getByText("No results.").waitFor();
        await page.keyboard.press("Escape");
        assert(await page.locator("#found").isHidden());
        await page.setViewportSize({ width: 360, height: 740 });
        for (const name of ["index", "cli", "peers", "log"]) {
          await page.goto(toFileUrl(join(folder, `${name}.html`)).href);
          assertEquals(
            await page.evaluate("document.documentElement.scrollWidth"),
            360,
            name,
          );
          for (const colorScheme of ["light", "dark"] as const) {
            await page.emulateMedia({ colorScheme });
            assertEquals(await violations(page), [], `${name} ${colorScheme}`);
          }
        }
        assertEquals(errors, []);
      },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("anchors are those of code hosts; headings alike are numbered", () => {
  const taken = new Set<string>();
  const anchors = [
    "What it needs",
    "W4A8: 4-bit!",
    "`a_b` & c",
    "What it needs",
  ]
    .map((heading) => anchorOf(heading, taken));
  assertEquals(anchors, [
    "what-it-needs",
    "w4a8-4-bit",
    "a_b--c",
    "what-it-needs-1",
  ]);
});

Deno.test("Markdown is rendered with its marks, and searched without", () => {
  const { title, html, sections } = render(
    "# A <b> & `c`\n\nText, [a link](x.md).\n\n## Two\n\n| a | b |\n|---|--:|\n| 1 | *2* |\n",
    (link) => link.replace(".md", ".html"),
  );
  assertEquals(title, "A & c");
  assertMatch(html, /<a href="x\.html">a link<\/a>/);
  assertMatch(html, /<td class="right"><em>2<\/em><\/td>/);
  assertEquals(sections.map((s) => [s.heading, s.anchor, s.text.trim()]), [
    ["A & c", "", "Text, a link."],
    ["Two", "two", "a b 1 2"],
  ]);
});
