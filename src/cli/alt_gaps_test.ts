import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { altGaps, fillGaps, type PageKind } from "./alt_gaps.ts";
import { placeOf } from "./alt_text.ts";

/** The page with every gap filled by the image's address in brackets. */
function filled(page: string, kind: PageKind): string {
  return fillGaps(
    page,
    altGaps(page, kind).map((gap) => [gap, `(${gap.address})`]),
  );
}

Deno.test("HTML: images without alt, wherever a browser sees one, and nowhere else", () => {
  const cases: [string, string][] = [
    ['<img src="a.jpg">', '<img alt="(a.jpg)" src="a.jpg">'],
    ["<IMG\tsrc=a.jpg/>", '<IMG alt="(a.jpg/)"\tsrc=a.jpg/>'],
    [
      "<p>\r\n<img src='a&amp;b.jpg'\r\n  class=x>\r\n",
      "<p>\r\n<img alt=\"(a&amp;b.jpg)\" src='a&amp;b.jpg'\r\n  class=x>\r\n",
    ],
    ["<img alt src=a>", "<img alt src=a>"],
    ['<img ALT="" src=a>', '<img ALT="" src=a>'],
    ["<img srcset=a>", "<img srcset=a>"],
    ["<!-- <img src=a> -->", "<!-- <img src=a> -->"],
    ["<script>'<img src=a>'</script>", "<script>'<img src=a>'</script>"],
    ["<style>/*<img src=a>*/</style>", "<style>/*<img src=a>*/</style>"],
    ["<textarea><img src=a></textarea>", "<textarea><img src=a></textarea>"],
    ["<title><img src=a></title>", "<title><img src=a></title>"],
    ["<a title='<img src=a>'>x</a>", "<a title='<img src=a>'>x</a>"],
    [
      "<template><img src=a></template>",
      '<template><img alt="(a)" src=a></template>',
    ],
    ["<table><img src=a></table>", '<table><img alt="(a)" src=a></table>'],
    [
      "<noscript><img src=a></noscript>",
      '<noscript><img alt="(a)" src=a></noscript>',
    ],
    ["\ufeff\u{1f408}<img src=ä>", '\ufeff\u{1f408}<img alt="(ä)" src=ä>'],
    ["no image at all &nbsp; <", "no image at all &nbsp; <"],
    ["<img src=a", "<img src=a"],
  ];
  for (const [page, want] of cases) assertEquals(filled(page, "html"), want);
});

Deno.test("Markdown: empty brackets, references, HTML within; no code, no text", () => {
  const page = [
    "# ![](a.jpg)",
    "`![](code.jpg)` ![has one](b.jpg) ![](c%20d.jpg 'title')",
    "> ![][ref] ![][Ref] ![][gone]",
    "",
    "```",
    "![](fence.jpg)",
    "```",
    "",
    "    ![](indented.jpg)",
    "",
    "- [![](e.jpg)](page.html) \\![](escaped.jpg)",
    '  <img src="f.jpg"> <img src="g.jpg" alt="">',
    "",
    "<div>",
    "<img src=h.jpg>",
    "</div>",
    "",
    "[REF]: i.jpg",
    "[ref]: second.jpg",
    "",
  ].join("\r\n");
  const want = page
    .replace("![](a.jpg)", "![(a.jpg)](a.jpg)")
    .replace("![](c%20d", "![(c%20d.jpg)](c%20d")
    .replace("![][ref] ![][Ref]", "![(i.jpg)][ref] ![(i.jpg)][Ref]")
    .replace("![](e.jpg)", "![(e.jpg)](e.jpg)")
    .replace('<img src="f', '<img alt="(f.jpg)" src="f')
    .replace("<img src=h", '<img alt="(h.jpg)" src=h');
  assertEquals(filled(page, "markdown"), want);
});

Deno.test("texts are escaped for where they stand", () => {
  const alt = '5 < 6 & "a" [b] *c* `d`';
  const fill = (page: string, kind: PageKind) =>
    fillGaps(page, altGaps(page, kind).map((gap) => [gap, alt]));
  assertEquals(
    fill("<img src=a>", "html"),
    '<img alt="5 &lt; 6 &amp; &quot;a&quot; [b] *c* `d`" src=a>',
  );
  const markdown = fill("![](a)", "markdown");
  assertEquals(
    markdown,
    '![5 \\< 6 \\& "a" \\[b\\] \\*c\\* \\`d\\`](a)',
  );
  assertEquals(altGaps(markdown, "markdown"), []);
});

Deno.test("addresses name files beside the page, below the root, or nothing here", () => {
  const place = (address: string, root?: string) =>
    placeOf(address, "site/blog/post.html", root);
  assertEquals(place("a.jpg"), { path: "site/blog/a.jpg" });
  assertEquals(place(" ../b%20c.jpg?w=2#x "), { path: "site/b c.jpg" });
  assertEquals(place("100%.jpg"), { path: "site/blog/100%.jpg" });
  assertEquals(place("/d.jpg"), "no root");
  assertEquals(place("/d.jpg", "site"), { path: "site/d.jpg" });
  for (const far of ["https://x/y.jpg", "//x/y.jpg", "data:,x", "?q", ""]) {
    assertEquals(place(far), "elsewhere");
  }
});

Deno.test("pages made to exhaust time or the stack finish quickly", () => {
  const limit = (page: string, kind: "html" | "markdown") => {
    const begun = performance.now();
    const error = assertThrows(
      () => altGaps(page, kind),
      RangeError,
      "Cannot read",
    );
    assert(performance.now() - begun < 1000, page.slice(0, 20));
    return error.message;
  };
  assertMatch(
    limit("*a_ ".repeat(20_000), "markdown"),
    /divide it by empty lines/,
  );
  assertMatch(
    limit("- ".repeat(5000) + "x", "markdown"),
    /100 quotes and lists/,
  );
  assertMatch(
    limit(">".repeat(20_000) + "x", "markdown"),
    /100 quotes and lists/,
  );
  assertMatch(limit("<div>".repeat(20_000), "html"), /512 elements/);
  const siblings = `${"<i></i>".repeat(150_000)}<img src=a.png>`;
  assertEquals(altGaps(siblings, "html").length, 1);
  const usual = `${
    "A *word* and a [link](b.html).\n\n".repeat(2000)
  }![](a.png)`;
  assertEquals(altGaps(usual, "markdown").length, 1);
  assertEquals(altGaps(`${"> ".repeat(50)}![](a.png)`, "markdown").length, 1);
});
