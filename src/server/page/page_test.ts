import { assert, assertEquals, assertMatch } from "@std/assert";
import { pageModule } from "../../../tools/page.ts";
import { pageResponse } from "./page.ts";

Deno.test("the page is what its sources build", async () => {
  const built = await Deno.readTextFile(
    new URL("./generated.ts", import.meta.url),
  );
  assertEquals(built, await pageModule());
});

Deno.test("the page loads nothing from elsewhere, and its policy lets nothing else run", async () => {
  const response = pageResponse(), html = await response.text();
  assert(!/https?:|\/\/[a-z]/i.test(html.replaceAll(/^ *\/\/ .*$/gm, "")));
  assert(!/ (src|href|srcset|action|on[a-z]+)=/i.test(html));
  assert(!/innerHTML|insertAdjacent|document\.write|eval\(/.test(html));
  const policy = response.headers.get("content-security-policy")!;
  assertMatch(policy, /^default-src 'none'; script-src 'sha256-[^ ]+';/);
  assert(!/unsafe|\*|https?:/.test(policy));
  for (const [tag, name] of [["style", "style"], ["script", "script"]]) {
    const text = new RegExp(`<${tag}[^>]*>([^]*)</${tag}>`).exec(html)![1];
    const digest = await crypto.subtle.digest(
      "SHA-256",
      new TextEncoder().encode(text),
    );
    const hash = new Uint8Array(digest).toBase64();
    assert(policy.includes(`${name}-src 'sha256-${hash}'`), name);
  }
});

Deno.test("everything that is written into or chosen has a label; what changes is announced", async () => {
  const html = await pageResponse().text();
  const inputs = [...html.matchAll(/<input[^>]*id="([^"]+)"/g)];
  assert(inputs.length >= 4);
  for (const [, id] of inputs) assert(html.includes(`for="${id}"`), id);
  assertMatch(html, /<html lang="en">/);
  assertMatch(html, /id="status" role="status" aria-live="polite"/);
  assertMatch(html, /<fieldset>\s*<legend>/);
});
