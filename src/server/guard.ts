/**
 * Access checks. A web page of another site must not reach a server on this
 * machine, neither through a name that resolves to this machine (Host) nor
 * through a script (Origin). Other machines need the API key.
 * @module
 */
import { ApiError, shown } from "./error.ts";
import type { HandlerOptions } from "./options.ts";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Whether an address is reachable only from this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" ||
    hostname === "[::1]" ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}

/** Host name of `host:port`, in lower case. */
function nameOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
}

/** The Host header of a request, or the host of its URL. */
function hostOf(request: Request): string {
  return request.headers.get("host") ?? URL.parse(request.url)?.host ?? "";
}

/**
 * Returns a check that throws `ApiError` if the Host is not one of the server's
 * names.
 */
export function hostGuard(hosts: readonly string[] = []): (r: Request) => void {
  const all = hosts.includes("*");
  const names = new Set([...LOOPBACK, ...hosts.map(nameOf)]);
  return (request) => {
    const host = hostOf(request);
    if (all || names.has(nameOf(host))) return;
    throw new ApiError(
      "bad_host",
      `Cannot answer for host ${shown(host)}: allowed are ${
        LOOPBACK[0]
      } and the server's own names; start the server with --allow-host NAME to add one`,
    );
  };
}

/** Checks the Origin and returns CORS headers. */
export interface OriginGuard {
  /**
   * CORS headers of the response.
   * @throws {ApiError} if the origin is not allowed
   */
  check(request: Request): Record<string, string>;
}

/** Allows the server's own page and `origins`, nothing else. */
export function originGuard(origins: readonly string[] = []): OriginGuard {
  const allowed = new Set(origins);
  return {
    check(request) {
      const origin = request.headers.get("origin");
      if (origin === null) return {};
      if (isOwn(origin, request)) return {};
      if (!allowed.has(origin)) {
        throw new ApiError(
          "bad_origin",
          `Cannot answer a page of ${
            shown(origin)
          }: only the server's own page is allowed; start the server with --allow-origin ORIGIN to add one`,
        );
      }
      return {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "authorization, content-type",
        "vary": "origin",
      };
    },
  };
}

/**
 * Whether an origin is the server's own page. On a public address, a proxy may
 * serve https for this server; a page over http is then another origin.
 */
function isOwn(origin: string, request: Request): boolean {
  const page = URL.parse(origin), host = hostOf(request).toLowerCase();
  if (page?.host !== host || page.origin !== origin.toLowerCase()) return false;
  if (page.protocol === URL.parse(request.url)?.protocol) {
    return request.headers.get("x-forwarded-proto") !== "https";
  }
  return page.protocol === "https:" && !isLoopback(nameOf(host));
}

/** Returns a check that throws `ApiError` if a request does not carry the key. */
export function keyGuard(
  { apiKey }: Pick<HandlerOptions, "apiKey">,
): (r: Request) => Promise<void> {
  if (apiKey === undefined) return () => Promise.resolve();
  const wanted = digest(apiKey);
  return async (request) => {
    const header = request.headers.get("authorization") ?? "";
    const given = /^bearer +(\S+)$/i.exec(header)?.[1] ?? "";
    if (sameBytes(await digest(given), await wanted)) return;
    throw new ApiError(
      "invalid_api_key",
      'Cannot answer: the API key is missing or wrong; send it as "Authorization: Bearer KEY"',
      null,
      { "www-authenticate": "Bearer" },
    );
  };
}

async function digest(text: string): Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Compares arrays of equal length in constant time. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let different = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) different |= a[i] ^ b[i];
  return different === 0;
}
