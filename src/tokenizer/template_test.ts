import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
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
      "{% for i in range(10000) %}{% for j in range(9) %}{{ j }}{% endfor %}{% endfor %}",
      `{% set x = [1] %}${"{% set x = x + x %}".repeat(40)}`,
    ]
  ) assertThrows(() => render(template), Error, "beyond the limit");
});

/** A loop that costs little by itself, over what costs much. */
const often = (before: string, inside: string) =>
  `${before}{% for i in range(9000) %}{% set t = ${inside} %}{% endfor %}`;
const LONG = "{% set ns = namespace(s='xxxxxxxxxx') %}" +
  "{% for i in range(18) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}";

Deno.test("no template takes long: large texts, lists within lists, empty loops", () => {
  const twice = (what: string) => `{% set x = ${what} %}`.repeat(60);
  for (
    const template of [
      often(LONG, "ns.s | upper"), // once 345 s
      often(LONG + "{% set u = ns.s ~ 'a' %}", "u == ns.s"), // once 48 s
      often(LONG, "ns.s | trim"),
      `{% set x = [1] %}${twice("[x, x]")}{{ x | tojson }}`, // once without end
      `{% set x = [1] %}${twice("{'a': x, 'b': x}")}{{ x }}`,
      `{% set x = [1] %}${twice("[x, x]")}{% set y = x ~ 'a' %}`,
      `{% set x = [1] %}${twice("[x, x]")}{{ raise_exception(x) }}`,
      `{% set x = [1] %}${twice("[x, x]")}{{ [x] | join }}`,
      `{% set x = [1] %}${
        twice("[x, x]")
      }{% for i in [1] %}{{ x }}{% endfor %}`,
      `{% set x = [1] %}${twice("[x, x]")}{% set y %}{{ x }}{% endset %}`,
      `{% set x = [1] %}${twice("[x, x]")}{% if 1 %}{{ x }}{% endif %}`,
      `{% set x = [1] %}${
        twice("[x, x]")
      }{% macro f() %}{{ x }}{% endmacro %}{{ f() }}`,
      "{% set n = namespace(a=1) %}{% set n.a = [n] %}{{ n | tojson }}",
      `${LONG}{% set x = [ns.s${", ns.s".repeat(99)}] %}{{ x | tojson }}`,
      often("{% set r = range(9000) %}", "'x' in r"),
      often("{% set r = range(9000) %}", "r | sort"),
      "{% set r = range(9000) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
    ]
  ) {
    const begun = performance.now();
    assertThrows(() => render(template), Error);
    const ms = performance.now() - begun;
    assert(ms < 1000, `${ms} ms: ${template.slice(0, 200)}`); // 100 on a free machine
  }
});

Deno.test("256 messages, looked through backwards and asked about each other, are far from the limit", () => {
  const messages = Array.from({ length: 256 }, (_, i) => ({
    role: i % 2 ? "assistant" : "user",
    content: [{ type: "image" }, { type: "text", text: "what is it?" }],
  }));
  const template =
    `{% set ns = namespace(last=(messages | length) - 1, found=false) %}
{%- for message in messages[::-1] %}
  {%- set index = (messages | length) - 1 - loop.index0 %}
  {%- if not ns.found and message.role == 'user' %}{% set ns.last = index %}{% set ns.found = true %}{% endif %}
{%- endfor %}
{%- for message in messages %}
  {%- if loop.index0 > 0 and messages[loop.index0 - 1].role == message.role %}{{ raise_exception('twice') }}{% endif %}
  {{- '<|im_start|>' + message.role + '\n' }}
  {%- for part in message.content %}
    {%- if part.type == 'image' %}<image>{% else %}{{ part.text | trim }}{% endif %}
  {%- endfor %}
  {{- '<|im_end|>\n' }}
{%- endfor %}`;
  const text = render(template, { messages });
  assertEquals(text.split("<|im_start|>user\n<image>what is it?").length, 129);
  const twice = render(template + template, { messages }); // half of what there is
  assertEquals(twice.length, 2 * text.length);
});
