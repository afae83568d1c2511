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
  assertMatch(policy, /^default-src 'none'; script-src( 'sha256-[^ ]+'){2};/);
  assert(!/unsafe|\*|https?:/.test(policy));
  const parts = [...html.matchAll(/<(style|script)[^>]*>([^]*?)<\/\1>/g)];
  assertEquals(parts.map(([, tag]) => tag), ["style", "script", "script"]);
  for (const [, tag, text] of parts) {
    const digest = await crypto.subtle.digest(
      "SHA-256",
      new TextEncoder().encode(text),
    );
    const hash = `'sha256-${new Uint8Array(digest).toBase64()}'`;
    const list = policy.split("; ").find((p) => p.startsWith(`${tag}-src `));
    assert(list!.split(" ").includes(hash), tag);
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
