/**
 * One page of the site around its content.
 * @module
 */
import { escapeHtml } from "./markdown.ts";

/** A page in the list at the side. */
export interface Entry {
  readonly title: string;
  /** Where it is, from the site's root. */
  readonly path: string;
}

/** Entries under a heading. */
export interface Group {
  readonly name: string;
  readonly entries: readonly Entry[];
}

/** What a page shows. */
export interface PageContent {
  readonly title: string;
  /** Where it is, from the site's root. */
  readonly path: string;
  readonly html: string;
}

/** `../` as often as it takes from `path` to the root. */
export function toRoot(path: string): string {
  return "../".repeat(path.split("/").length - 1);
}

/** The page's document. */
export function page(
  { title, path, html }: PageContent,
  groups: readonly Group[],
): string {
  const root = toRoot(path);
  const list = groups.map(({ name, entries }) =>
    `<h2>${escapeHtml(name)}</h2>\n<ul>${
      entries.map((entry) =>
        `<li><a href="${root}${entry.path}"${
          entry.path === path ? ' aria-current="page"' : ""
        }>${escapeHtml(entry.title)}</a></li>`
      ).join("")
    }</ul>`
  ).join("\n");
  const name = title === "mquant" ? title : `${title} · mquant`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(name)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${root}site.css">
<script defer src="${root}site.js" data-root="${root}"></script>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<a class="name" href="${root}index.html">mquant</a>
<search>
<label for="search">Search</label>
<input id="search" type="search" placeholder="Search (press /)" autocomplete="off">
<div id="found" hidden><p role="status"></p><ol></ol></div>
</search>
</header>
<div class="columns">
<nav aria-label="Pages">
<details><summary>Pages</summary>
${list}
</details>
</nav>
<main id="content" tabindex="-1">
${html}
</main>
</div>
</body>
</html>
`;
}
