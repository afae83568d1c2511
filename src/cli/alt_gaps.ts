/**
 * Finds images without alt text: HTML images without an `alt` attribute and
 * Markdown images with empty brackets. `alt=""` marks a decorative image and is
 * not a gap.
 * @module
 */
import { fromMarkdown } from "mdast-util-from-markdown";
import {
  defaultTreeAdapter,
  type DefaultTreeAdapterMap,
  parse,
  parseFragment,
} from "parse5";

/** An image without alternative text. */
export interface Gap {
  /** Where the text is inserted, in UTF-16 units from the start of the page. */
  readonly at: number;
  /** Address of the image as written in the page, entities decoded. */
  readonly address: string;
  /** Returns the text to insert for an alt text. */
  readonly fill: (alt: string) => string;
}

/** Format of a page. */
export type PageKind = "html" | "markdown";

/** The format of a page by its file name. */
export function kindOf(name: string): PageKind {
  return /\.(md|markdown)$/i.test(name) ? "markdown" : "html";
}

/** All images without alt text, in order. */
export function altGaps(page: string, kind: PageKind): Gap[] {
  const gaps = kind === "html"
    ? htmlGaps(parse(page, located()), page, 0)
    : markdownGaps(page);
  return gaps.sort((a, b) => a.at - b.at);
}

/** Returns `page` with texts inserted at the gaps; nothing else changes. */
export function fillGaps(
  page: string,
  filled: readonly (readonly [Gap, string])[],
): string {
  let out = "", from = 0;
  for (const [{ at, fill }, alt] of filled) {
    out += page.slice(from, at) + fill(alt);
    from = at;
  }
  return out + page.slice(from);
}

/**
 * Maximum nesting of elements, as in browsers; the parser's time grows with the
 * depth.
 */
const MOST_DEEP = 512;

/** A tree adapter that limits the depth. */
function bounded(): typeof defaultTreeAdapter {
  const depths = new WeakMap<object, number>();
  const note = (parent: object, child: object) => {
    const depth = (depths.get(parent) ?? 0) + 1;
    depths.set(child, depth);
    if (depth > MOST_DEEP) {
      throw new RangeError(
        `Cannot read HTML of more than ${MOST_DEEP} elements within each other; close them`,
      );
    }
  };
  return {
    ...defaultTreeAdapter,
    appendChild(parent, child) {
      note(parent, child);
      defaultTreeAdapter.appendChild(parent, child);
    },
    insertBefore(parent, child, next) {
      note(parent, child);
      defaultTreeAdapter.insertBefore(parent, child, next);
    },
  };
}

const located = () => ({
  sourceCodeLocationInfo: true,
  scriptingEnabled: false,
  treeAdapter: bounded(),
});

type Node = DefaultTreeAdapterMap["node"];

function htmlGaps(root: Node, page: string, offset: number): Gap[] {
  const gaps: Gap[] = [], open: Node[] = [root];
  for (let node; (node = open.pop());) {
    if ("childNodes" in node) { // one by one: there may be more than a call takes
      for (const child of node.childNodes) open.push(child);
    }
    if (node.nodeName === "template" && "content" in node) {
      open.push(node.content as Node);
    }
    if (!("tagName" in node) || node.tagName !== "img") continue;
    const { startOffset } = node.sourceCodeLocation ?? {};
    const attribute = (name: string) =>
      node.attrs.find((a) => a.name === name)?.value;
    const address = attribute("src");
    if (startOffset === undefined || address === undefined) continue;
    if (attribute("alt") !== undefined) continue;
    // A parser may move a tag, or read <image> as <img>; it stands where it stands.
    const tag = /^<ima?ge?/i.exec(page.slice(startOffset + offset));
    if (!tag) continue;
    const at = startOffset + offset + tag[0].length;
    gaps.push({ at, address, fill: (alt) => ` alt="${htmlText(alt)}"` });
  }
  return gaps;
}

function htmlText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;")
    .replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function markdownGaps(page: string): Gap[] {
  const gaps: Gap[] = [];
  checkMarks(page);
  const root = fromMarkdown(page), nodes = [...below(root)];
  const targets = new Map<string, string>();
  for (const node of nodes) {
    if (node.type !== "definition") continue;
    const id = node.identifier;
    if (!targets.has(id)) targets.set(id, node.url); // the first one counts
  }
  for (const node of nodes) {
    const start = node.position?.start.offset, end = node.position?.end.offset;
    if (start === undefined || end === undefined) continue;
    if (node.type === "html") {
      const source = page.slice(start, end);
      gaps.push(...htmlGaps(parseFragment(source, located()), page, start));
    }
    if (node.type !== "image" && node.type !== "imageReference") continue;
    const address = node.type === "image"
      ? node.url
      : targets.get(node.identifier);
    if (address === undefined || page.slice(start, start + 3) !== "![]") {
      continue;
    }
    gaps.push({ at: start + 2, address, fill: markdownText });
  }
  return gaps;
}

type MarkdownNode =
  | ReturnType<typeof fromMarkdown>
  | ReturnType<typeof fromMarkdown>["children"][number];

function* below(root: MarkdownNode): Generator<MarkdownNode> {
  const open = [root];
  for (let node; (node = open.pop());) {
    yield node;
    if (!("children" in node)) continue;
    for (const child of node.children.toReversed()) {
      open.push(child as MarkdownNode);
    }
  }
}

/**
 * Limits of Markdown. The parser's time grows with the square of the marks of
 * emphasis, code and links in a paragraph, and with the square of the quotes
 * and lists that a line begins.
 */
const MOST_MARKS = 20_000_000, MOST_NESTED = 100;

function checkMarks(page: string) {
  let work = 0;
  for (const paragraph of page.split(/\n[ \t\r]*\n/)) {
    let marks = 0;
    for (const _ of paragraph.matchAll(/\*+|_+|`+|~+|!?\[|\]|</g)) marks++;
    work += marks ** 2;
    if (work <= MOST_MARKS) continue;
    throw tooMuch(paragraph, "too many marks (* _ ` [ ] <) in its paragraphs");
  }
  for (
    const [line] of page.matchAll(/^(?:[ \t]*(?:[>*+-]|\d{1,9}[.)])){100,}/gm)
  ) {
    throw tooMuch(
      line,
      `more than ${MOST_NESTED} quotes and lists in one line`,
    );
  }
}

function tooMuch(text: string, what: string): Error {
  return new RangeError(
    `Cannot read Markdown with ${what}, near ${
      JSON.stringify(text.trimStart().slice(0, 20))
    }; divide it by empty lines`,
  );
}

function markdownText(text: string): string {
  return text.replaceAll(/[\\`*_[\]<>&]/g, "\\$&");
}
