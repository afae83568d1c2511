import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { renderTemplate, TEMPLATE_LIMITS } from "./template.ts";

const render = (template: string, variables = {}) =>
  renderTemplate(template, variables);

Deno.test("what transformers lets a template use is there", () => {
  assertEquals(
    render("{{ true }}{{ False }}{{ none is none }}"),
    "truefalsetrue",
  );
  assertEquals(render("{{ range(3) | join }}"), "012");
  assertEquals(render("{{ range(2, 8, 3) | join(',') }}"), "2,5");
  assertEquals(
    render("{{ range(3, 0, -1) | join }}|{{ range(0) | join }}"),
    "321|",
  );
  assertMatch(
    render("{{ strftime_now('%Y-%m-%d %H:%M:%S %b %B %q') }}"),
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z][a-z]{2} [A-Z][a-z]+ %q$/,
  );
  assertThrows(() => render("{{ raise_exception('no') }}"), Error, "no");
  assertEquals(render("{{ a }}", { a: "x" }), "x");
});

Deno.test("steps are counted: of ranges, of loops, of lists that grow", () => {
  const most = TEMPLATE_LIMITS.steps;
  for (
    const template of [
      `{{ range(${most + 1}) | length }}`,
      `{{ range(0, ${2 * most}) | length }}`,
      "{% for i in range(100000) %}{% for j in range(9) %}{{ j }}{% endfor %}{% endfor %}",
      `{% set x = [1] %}${"{% set x = x + x %}".repeat(40)}`,
    ]
  ) assertThrows(() => render(template), Error, "beyond the limit");
});
