/**
 * Converts a Markdown document to HTML, and to sections for the search.
 * @module
 */
import { Marked, type Tokens } from "marked";

/** What lies under one heading. */
export interface Section {
  /** Its heading. */
  readonly heading: string;
  /** Anchor in the page; "" for the document's title. */
  readonly anchor: string;
  /** Its text, without marks. */
  text: string;
}

/** A document, rendered. */
export interface Rendered {
  readonly title: string;
  readonly html: string;
  readonly sections: readonly Section[];
}

/** Anchor of a heading, as code hosts make it; `taken` holds those of the page so far. */
export function anchorOf(heading: string, taken: Set<string>): string {
  const slug = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
  let anchor = slug;
  for (let n = 1; taken.has(anchor); n++) anchor = `${slug}-${n}`;
  taken.add(anchor);
  return anchor;
}

/** Renders `markdown`; `href` maps a link or an image address to its place on the site. */
export function render(
  markdown: string,
  href: (link: string) => string,
): Rendered {
  const taken = new Set<string>(), sections: Section[] = [];
  const marked = new Marked({
    gfm: true,
    renderer: {
      heading({ tokens, depth }: Tokens.Heading) {
        const html = this.parser.parseInline(tokens);
        const heading = plain(html);
        const anchor = anchorOf(heading, taken);
        sections.push({
          heading,
          anchor: depth === 1 ? "" : anchor,
          text: "",
        });
        if (depth === 1) return `<h1 id="${anchor}">${html}</h1>\n`;
        return `<h${depth} id="${anchor}">${html} <a class="anchor" href="#${anchor}" aria-label="Link to ${
          escapeHtml(heading)
        }">#</a></h${depth}>\n`;
      },
      link({ href: link, tokens }: Tokens.Link) {
        const html = this.parser.parseInline(tokens);
        return `<a href="${escapeHtml(href(link))}">${html}</a>`;
      },
      image({ href: link, text }: Tokens.Image) {
        return `<img src="${escapeHtml(href(link))}" alt="${
          escapeHtml(text)
        }">`;
      },
      code({ text }: Tokens.Code) {
        return `<pre tabindex="0"><code>${escapeHtml(text)}</code></pre>\n`;
      },
      table(token: Tokens.Table) {
        const row = (cells: Tokens.TableCell[], tag: string) =>
          `<tr>${
            cells.map((cell) =>
              `<${tag}${cell.align ? ` class="${cell.align}"` : ""}>${
                this.parser.parseInline(cell.tokens)
              }</${tag}>`
            ).join("")
          }</tr>\n`;
        // Wide tables scroll by themselves, by the keyboard too.
        return `<div class="wide" role="group" aria-label="Table" tabindex="0"><table>\n<thead>${
          row(token.header, "th")
        }</thead>\n<tbody>${
          token.rows.map((cells) => row(cells, "td")).join("")
        }</tbody></table></div>\n`;
      },
    },
  });
  const tokens = marked.lexer(markdown);
  const html = tokens.map((token) => {
    const part = marked.parser([token]);
    if (token.type !== "heading") {
      const section = sections.at(-1);
      if (section) section.text += ` ${plain(part)}`;
    }
    return part;
  }).join("");
  return { title: sections[0]?.heading ?? "", html, sections };
}

/** Text of HTML that we have made ourselves. */
function plain(html: string): string {
  const inline = /<\/?(a|b|code|em|strong|del|span)\b[^>]*>/g;
  return html.replaceAll(inline, "").replaceAll(/<[^>]*>/g, " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&").replaceAll(/\s+/g, " ").trim();
}

/** Text as HTML shows it, also between quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
