// Search over all sections of all pages. The index is loaded at the first search.
// This is not a module, because browsers do not load modules from file: URLs.
"use strict";
const root = document.querySelector("[data-root]").dataset.root;
const input = document.getElementById("search");
const found = document.getElementById("found");
const [say, list] = found.children;
const MOST = 12, AROUND = 90;

// The list of pages is open in wide windows and closed in narrow ones.
const pages = document.querySelector("nav details");
const wide = matchMedia("(min-width: 60rem)");
const unfold = () => pages.open = wide.matches;
wide.addEventListener("change", unfold);
unfold();

let loading;
function index() {
  // A script instead of JSON, because fetch does not work with file: URLs.
  loading ??= new Promise((done, refuse) => {
    const script = document.createElement("script");
    script.src = `${root}search.js`;
    script.onload = () => done(globalThis.SECTIONS);
    script.onerror = () => refuse(new Error("search.js cannot be loaded"));
    document.head.append(script);
  });
  return loading;
}

/** Relevance of a section; 0 if one of the words is missing. */
function score([page, heading, , text], words) {
  let sum = 0;
  for (const word of words) {
    const inText = text.toLowerCase().split(word).length - 1;
    const points = Math.min(inText, 5) +
      (heading.toLowerCase().includes(word) ? 10 : 0) +
      (page.toLowerCase().includes(word) ? 5 : 0);
    if (points === 0) return 0;
    sum += points;
  }
  return sum;
}

/** The text around the first of the words, with all of them marked. */
function excerpt(text, words) {
  const lower = text.toLowerCase();
  const first = Math.max(
    0,
    Math.min(
      ...words.map((w) => lower.indexOf(w)).filter((at) => at >= 0),
      lower.length,
    ) - AROUND,
  );
  const part = text.slice(first, first + 2 * AROUND + 40);
  const p = document.createElement("p");
  const escaped = words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  for (
    const [i, piece] of part.split(RegExp(`(${escaped.join("|")})`, "i"))
      .entries()
  ) {
    if (i % 2 === 0) p.append(piece);
    else {p.append(
        Object.assign(document.createElement("mark"), { textContent: piece }),
      );}
  }
  return p;
}

async function search() {
  const words = input.value.toLowerCase().split(/\s+/).filter((w) => w !== "");
  found.hidden = words.length === 0;
  if (found.hidden) return;
  let sections;
  try {
    sections = await index();
  } catch (error) {
    say.textContent = error.message;
    return;
  }
  const all = sections.map((section) => ({
    section,
    points: score(section, words),
  }))
    .filter(({ points }) => points > 0).sort((a, b) => b.points - a.points);
  say.textContent = all.length === 0
    ? "No results."
    : `${all.length} section${all.length === 1 ? "" : "s"}`;
  list.replaceChildren(
    ...all.slice(0, MOST).map(({ section }) => {
      const [page, heading, url, text] = section;
      const item = document.createElement("li"),
        link = document.createElement("a");
      link.href = root + url;
      link.textContent = page === heading ? page : `${page}: ${heading}`;
      item.append(link, excerpt(text, words));
      return item;
    }),
  );
}

input.addEventListener("input", search);
input.addEventListener("focus", search);
addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    input.focus();
  } else if (event.key === "Escape" && !found.hidden) {
    input.select();
    found.hidden = true;
  }
});
addEventListener("click", (event) => {
  if (!event.target.closest("search")) found.hidden = true;
});
