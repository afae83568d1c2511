import { threadMs } from "../../tests/cpu_time.ts";
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
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
    const begun = threadMs();
    assertThrows(() => render(template), Error);
    const ms = threadMs() - begun;
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

/** What the library's own interpreter writes. */
function reference(template: string, variables: Record<string, unknown>) {
  const environment = new Environment();
  const none = { true: true, false: false, none: null };
  const all = { ...none, range: (n: number) => [...Array(n).keys()] };
  for (const [name, value] of Object.entries({ ...all, ...variables })) {
    environment.set(name, value);
  }
  const options = { lstrip_blocks: true, trim_blocks: true };
  const program = parse(tokenize(template, options));
  return String(new Interpreter(environment).run(program).value);
}

Deno.test("counting changes nothing: every filter, method and statement", () => {
  const variables = {
    s: " Ab\n\ncd ef ",
    list: ["b", "a", "C", "a"],
    n: [3, 1, 2],
    objects: [{ a: { b: 1 }, c: "x" }, { a: { b: 2 }, c: "" }],
    o: { y: 2, x: "1" },
  };
  for (
    const template of [
      "{{ s | trim }}|{{ s | upper }}|{{ s | title }}|{{ s | length }}|{{ s | indent }}|{{ s | indent(2, true, true) }}|{{ s | indent(width=3, first=true) }}",
      "{{ s.strip() }}|{{ s.split() }}|{{ s.split(' ', 1) }}|{{ s.replace('b', 'bb', 1) }}|{{ s | replace('', '-') }}|{{ s | replace('A', 'x', count=1) }}",
      "{{ list | join }}|{{ list | join(', ') }}|{{ 'abc' | join('-') }}|{{ list | sort }}|{{ list | sort(reverse=true) }}|{{ list | unique | list }}|{{ list | reverse | first }}",
      "{{ objects | map(attribute='a.b') | join(',') }}|{{ objects | selectattr('c') | list | length }}|{{ objects | rejectattr('c', 'equalto', 'x') | list }}|{{ objects | sort(attribute='a.b', reverse=true) | tojson }}",
      "{{ o | tojson }}|{{ o | tojson(indent=2, sort_keys=true) }}|{{ objects | tojson(separators=(',', ':')) }}|{{ o.items() }}|{{ o | dictsort }}|{{ o.get('z', 5) }}|{{ o['x'] }}",
      "{% set f = s.replace %}{{ f('A', 'q') }}|{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns.a }}|{{ s[1:3] }}|{{ n[::-1] }}|{{ n[-1] }}|{{ list.0 }}",
      "{% macro m(a, b='B') %}{{ a }}{{ b }}{{ caller() if caller else '' }}{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}{{ m(*[7, 8]) }}{% call m('x') %}in{% endcall %}",
      "{% filter upper %}ab{{ s }}{% endfilter %}|{% filter replace('a', 'b') %}aa{% endfilter %}",
      "{% for k, v in o.items() if v %}{{ k }}{{ loop.index }}{% else %}no{% endfor %}|{{ 'b' in list }}{{ 'A' in s }}{{ 'z' not in s }}{{ 'x' in o }}{{ 1 if undefined_name else 2 }}",
      "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}|{{ missing | default('d') }}|{{ '' | default('e', true) }}|{{ '7' | int + 1 }}",
      "{{ s is defined }}{{ n is iterable }}{{ 3 is odd }}{{ not true and false or true }}{{ -n[0] }}{{ 7 // 2 }}{{ 7 % 4 }}{{ 'a' ~ 1 }}",
    ]
  ) assertEquals(render(template, variables), reference(template, variables));
});

Deno.test("the templates of models write what they write in the library's own interpreter", () => {
  let count = 0;
  const folder = new URL("../../tests/golden/", import.meta.url);
  for (const { name } of Deno.readDirSync(folder)) {
    const file = new URL(`${name}/chat_template.jinja`, folder);
    let template;
    try {
      template = Deno.readTextFileSync(file);
    } catch {
      continue;
    }
    for (
      const text of ["hi", [{ type: "image" }, { type: "text", text: "a" }]]
    ) {
      const variables = {
        messages: [{ role: "user", content: text }],
        add_generation_prompt: true,
        bos_token: "<s>",
        eos_token: "</s>",
      };
      const attempt = (how: typeof reference) => {
        try {
          return how(template, variables);
        } catch (error) {
          return `${error}`;
        }
      };
      assertEquals(attempt(render), attempt(reference));
      count++;
    }
  }
  assert(count > 10);
});

Deno.test("the size of a template result is checked before it is built", () => {
  const big = "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}" +
    "{% for i in range(15) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
  for (
    const template of [
      "{{ 'a\nb' | indent(400000000) }}",
      "{% set y = [[1]] | tojson(indent=300000000) %}",
      `${big}{% set y = ns.x | replace('a', 'bbbbbbbbbbbbbbbbbbbbbbbbb') %}`,
      `${big}{% set y = ns.x | replace('', 'bbbb') %}`,
      `${big}{% set f = ns.x.replace %}{% set y = f('a', ns.x) %}`,
      `${big}{% set y = ns.x['replace']('a', ns.x) %}`,
      `${big}{% set y = range(9000) | join(ns.x) %}`,
      `${big}{% set y = ns.x.split('a') %}`,
      `${big}{% set y = ('b' ~ ns.x) in (ns.x ~ 'c') %}`,
      `${big}{% set y = strftime_now(ns.x | replace('a', '%B')) %}`,
      `${big}{% filter replace('a', 'bbbb') %}{{ ns.x }}{% endfilter %}`,
      "{% for i in range(90000) %}{% set y = strftime_now('%B') %}{% endfor %}",
      `{% for i in range(9000) %}{% macro m() %}${
        "{{ a }}".repeat(5000)
      }{% endmacro %}{% endfor %}`,
      "\n".repeat(60_000) + "{%- if 1 %}",
      `{%${" ".repeat(60_000)}`,
      "{{ " + "(".repeat(30_000) + "1" + ")".repeat(30_000) + " }}",
    ]
  ) {
    const begun = threadMs(), before = Deno.memoryUsage().rss;
    assertThrows(() => render(template), Error);
    const ms = threadMs() - begun;
    assert(ms < 1000, `${ms} ms: ${template.slice(0, 200)}`);
    const mb = (Deno.memoryUsage().rss - before) / 2 ** 20;
    assert(mb < 100, `${mb} MB: ${template.slice(0, 200)}`);
  }
});
