/**
 * The documentation as a static site: README and docs/ as pages, the files that
 * they link to, the library's reference (`deno doc`), a search and the browser
 * demo. It loads nothing from other hosts and also works from a folder.
 *
 *     deno task site          writes dist/site/
 *
 * @module
 */
import { dirname, fromFileUrl, join } from "@std/path";
import { buildDemo } from "../browser.ts";
import { escapeHtml, render, type Section } from "./markdown.ts";
import { type Group, page, toRoot } from "./template.ts";

const root = new URL("../../", import.meta.url);

/** The navigation; documents that it does not list come under "More". */
const GROUPS: readonly { name: string; documents: readonly string[] }[] = [
  { name: "Tutorial", documents: ["README.md", "docs/tour.md"] },
  {
    name: "Guides",
    documents: [
      ...["archive", "alt-text", "pi-camera", "deploy"]
        .map((name) => `docs/recipes/${name}.md`),
      ...["docs/server.md", "docs/browser.md", "docs/troubleshooting.md"],
    ],
  },
  {
    name: "Reference",
    documents: [
      ...["docs/cli.md", "docs/library.md", "docs/models.md"],
      ...["docs/format.md", "docs/limits.md", "docs/glossary.md"],
    ],
  },
  {
    name: "Explanation",
    documents: [
      ...["docs/architecture.md", "docs/method.md", "docs/kernels.md"],
      ...["docs/results.md", "docs/performance.md", "docs/peers.md"],
      ...["docs/reliability.md", "docs/threats.md", "SECURITY.md"],
    ],
  },
  {
    name: "Contributing",
    documents: ["CONTRIBUTING.md", "docs/adding-a-model.md", "docs/log.md"],
  },
];

const IMAGE = /[.](png|webp|jpg)$/;

/** Where a file of the repository is on the site. */
export function placeOf(path: string): string {
  if (path === "README.md") return "index.html";
  const name = path.replace(/^docs\//, "");
  if (IMAGE.test(name)) return name;
  return name.endsWith(".md")
    ? name.replace(/\.md$/, ".html")
    : `source/${name.replace(/\/$/, "")}.html`;
}

/** What the site has of the repository: pages made, links still to follow. */
interface Making {
  readonly out: string;
  readonly pages: Map<string, { title: string; html: string }>;
  readonly sections: [page: string, section: Section, place: string][];
}

/** Renders a document and whatever it links to in the repository. */
async function take(path: string, making: Making): Promise<void> {
  const place = placeOf(path);
  if (making.pages.has(place)) return;
  const links: string[] = [];
  const href = (link: string): string => {
    if (/^(https?:|mailto:|#)/.test(link)) return link;
    const [target, anchor] = link.split("#");
    const file = decodeURIComponent(
      new URL(target, `file:///${path}`).pathname.slice(1),
    );
    links.push(file);
    return toRoot(place) + placeOf(file) + (anchor ? `#${anchor}` : "");
  };
  const file = new URL(path, root), info = await Deno.stat(file);
  if (IMAGE.test(path)) {
    await Deno.mkdir(dirname(join(making.out, place)), { recursive: true });
    return await Deno.copyFile(file, join(making.out, place));
  }
  making.pages.set(place, { title: path, html: "" }); // so that circles end
  if (path.endsWith(".md")) {
    const { title, html, sections } = render(
      await Deno.readTextFile(file),
      href,
    );
    making.pages.set(place, { title, html });
    for (const section of sections) {
      making.sections.push([title, section, place]);
    }
  } else {
    const text = info.isDirectory
      ? [...Deno.readDirSync(file)].map((e) =>
        e.name + (e.isDirectory ? "/" : "")
      ).sort().join("\n")
      : await Deno.readTextFile(file);
    making.pages.set(place, {
      title: path,
      html: `<h1>${escapeHtml(path)}</h1>\n<pre tabindex="0"><code>${
        escapeHtml(text)
      }</code></pre>\n`,
    });
  }
  for (const link of links) await take(link, making);
}

/** Documents of docs/ and its folders. */
function documents(folder = "docs/"): string[] {
  return [...Deno.readDirSync(new URL(folder, root))].flatMap((e) =>
    e.isDirectory
      ? documents(`${folder}${e.name}/`)
      : e.name.endsWith(".md")
      ? [folder + e.name]
      : []
  ).sort();
}

async function reference(out: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["doc", "--html", "--quiet", "--name=mquant", `--output=${out}`],
      ...["src/mod.ts", "src/convert/mod.ts", "src/server/mod.ts"],
    ],
    cwd: fromFileUrl(root),
    stdout: "null",
  }).output();
  if (success) return;
  throw new Error(
    `Cannot make the reference: ${new TextDecoder().decode(stderr)}`,
  );
}

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}

/** Colours and type of the web page: the site wears the same. */
async function palette(): Promise<string> {
  const css = await Deno.readTextFile(
    new URL("src/server/page/page.css", root),
  );
  return css.slice(0, css.indexOf("}") + 2);
}

/** Builds the site into `out`. */
export async function buildSite(
  out: string,
  { demo = true } = {},
): Promise<void> {
  const making: Making = { out, pages: new Map(), sections: [] };
  const named = GROUPS.flatMap((g) => g.documents);
  const more = documents().filter((path) => !named.includes(path));
  for (const path of [...named, ...more]) await take(path, making);
  const entry = (path: string) => ({
    title: path === "README.md"
      ? "Overview"
      : making.pages.get(placeOf(path))!.title,
    path: placeOf(path),
  });
  const groups: Group[] = [...GROUPS, { name: "More", documents: more }]
    .filter((g) => g.documents.length > 0)
    .map((g) => ({ name: g.name, entries: g.documents.map(entry) }));
  const outside = [{ title: "Library reference", path: "api/index.html" }];
  if (demo) outside.push({ title: "Demo", path: "demo/index.html" });
  groups.splice(3, 0, { name: "Library", entries: outside });

  for (const [path, { title, html }] of making.pages) {
    await write(join(out, path), page({ title, path, html }, groups));
  }
  const index = making.sections.map((
    [title, { heading, anchor, text }, place],
  ) => [title, heading, place + (anchor ? `#${anchor}` : ""), text.trim()]);
  await write(
    join(out, "search.js"),
    `globalThis.SECTIONS = ${JSON.stringify(index)};\n`,
  );
  const here = new URL("tools/site/", root);
  const style = await Deno.readTextFile(new URL("site.css", here));
  await write(join(out, "site.css"), `${await palette()}\n${style}`);
  await Deno.copyFile(new URL("site.js", here), join(out, "site.js"));
  await reference(join(out, "api"));
  if (demo) await buildDemo(join(out, "demo"));
}

if (import.meta.main) {
  const out = fromFileUrl(new URL("dist/site/", root));
  await buildSite(out);
  console.error("dist/site is complete: open dist/site/index.html");
}
