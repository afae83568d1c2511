/** What a terminal is given, whatever names and words of others hold. */
import { assertEquals } from "@std/assert";
import { dim, field, harmless, message } from "./io.ts";

Deno.test("control characters do not reach a terminal: C0, C1, bidi and line separators are escaped", () => {
  for (let c = 0; c < 0x3000; c++) {
    const text = `a${String.fromCharCode(c)}b`;
    const bad = c < 0x20 && c !== 9 && c !== 10 || c >= 0x7f && c < 0xa0 ||
      [0x61c, 0x200e, 0x200f, 0x2028, 0x2029].includes(c) ||
      c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069;
    const hex = c.toString(16).padStart(4, "0");
    assertEquals(harmless(text), bad ? `a\\u${hex}b` : text, hex);
  }
  assertEquals(field("a\tb\nc\r"), "a\\tb\\nc\\u000d");
});

Deno.test("a line of JSON stays the same JSON", () => {
  const value = { name: '\x1b]0;x\x07\u009b2J\u202e\u2028\n"\\' };
  assertEquals(JSON.parse(harmless(JSON.stringify(value))), value);
});

Deno.test("the colour of a message stays; what is inside it is made harmless", () => {
  const [on, off] = ["\x1b[2m", "\x1b[22m"];
  assertEquals(message(`${on}a\x1b[31m${off}`), `${on}a\\u001b[31m${off}`);
  assertEquals(message(`${on}a`), "\\u001b[2ma");
  assertEquals(message(dim("x")), dim("x"));
});

Deno.test("all that a command writes passes through Io", () => {
  const folder = new URL("./", import.meta.url);
  for (const { name } of Deno.readDirSync(folder)) {
    if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
    const text = Deno.readTextFileSync(new URL(name, folder));
    const writes =
      text.match(/console\.\w+\(.*|Deno\.std(out|err)\.w\w+\(.*/g) ??
        [];
    const known: Record<string, string[]> = {
      "stray.ts": ["console.error(harmless("],
      "serve.ts": ["Deno.stderr.write(bytes)"], // lines of serve_log, made harmless there
    };
    for (const write of writes) {
      const through = (known[name] ?? []).some((k) => write.startsWith(k));
      assertEquals([name, through], [name, true], write);
    }
  }
});
