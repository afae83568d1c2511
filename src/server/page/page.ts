/**
 * The web page: one file that loads nothing else. Its content security policy
 * admits only its own script and style, by hash.
 * @module
 */
import { PAGE, SCRIPT_HASHES, STYLE_HASH } from "./generated.ts";

const POLICY = [
  "default-src 'none'",
  `script-src ${SCRIPT_HASHES}`,
  `style-src ${STYLE_HASH}`,
  "img-src blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

/** The page as a response. */
export function pageResponse(): Response {
  return new Response(PAGE, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": POLICY,
      "permissions-policy": "geolocation=(), microphone=()",
      "cache-control": "no-cache",
    },
  });
}
