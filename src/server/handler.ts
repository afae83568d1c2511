/**
 * The server as one function from a request to a response, for `Deno.serve`,
 * `deno serve`, Deno Deploy and tests.
 * @module
 */
import type { Ended, Reply } from "./completions.ts";
import { ApiError, shown } from "./error.ts";
import { causeOf, faultOf } from "./faults.ts";
import { hostGuard, keyGuard, originGuard } from "./guard.ts";
import type { Answering } from "./job.ts";
import { metrics } from "./metrics.ts";
import { type HandlerOptions, LIMITS } from "./options.ts";
import { type Route, routesOf, type Source } from "./routes.ts";

const HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

/**
 * A handler over a session, or over the promise of one: until it is there,
 * /health and the API answer 503. The caller keeps the session and disposes it.
 *
 * ```ts ignore
 * import { open } from "@mquant/mquant";
 * import { handler } from "@mquant/mquant/server";
 *
 * Deno.serve({ hostname: "127.0.0.1" }, handler(open("model.safetensors")));
 * ```
 */
export function handler(
  session: Answering | PromiseLike<Answering>,
  options: HandlerOptions = {},
): (request: Request) => Promise<Response> {
  return backendHandler(session, options);
}

/** As `handler`, but also accepts a `Backend`: a model in another thread. */
export function backendHandler(
  source: Source | PromiseLike<Source>,
  options: HandlerOptions = {},
): (request: Request) => Promise<Response> {
  const { model = "mquant", log, onError } = options;
  const limits = { ...LIMITS, ...options.limits }, counted = metrics();
  const routes = routesOf(source, { ...options, model, limits, counted });
  const guard = guardOf(options, [...routes.keys()]);

  return async (request) => {
    const begun = performance.now();
    // A Host that is none makes an address that is none: the guard says so.
    const path = URL.parse(request.url)?.pathname ?? "";
    const route = routes.get(path);
    const name = route?.name ?? "other";
    const method = /^[A-Z]{3,7}$/.test(request.method)
      ? request.method
      : "other";
    const ended = (how: Ended) => {
      const ms = performance.now() - begun;
      counted.request(name, how.status, ms);
      log?.({ method, route: name, ms, ...how });
    };
    const headers: Record<string, string> = { ...HEADERS };
    let response: Response;
    try {
      const made = await guard(request, route, path, headers);
      response = made.response;
      if (made.later) made.later.then(ended);
      else ended({ status: response.status });
    } catch (error) {
      const fault = faultOf(error);
      const cause = causeOf(error);
      if (fault.status === 500 && cause !== undefined) onError?.(cause);
      ended({ status: fault.status, code: fault.code });
      response = fault.response();
    }
    for (const [name, value] of Object.entries(headers)) {
      response.headers.set(name, value);
    }
    if (!response.headers.has("cache-control")) {
      response.headers.set("cache-control", "no-store");
    }
    if (request.method !== "HEAD") return response;
    await response.body?.cancel();
    return new Response(null, response);
  };
}

/** All access checks; throws `ApiError`. */
function guardOf(options: HandlerOptions, paths: readonly string[]) {
  const checkHost = hostGuard(options.hosts);
  const origins = originGuard(options.origins);
  const checkKey = keyGuard(options);

  /**
   * Answers a request; `headers` receives the headers of the response, also of
   * an error.
   */
  return async (
    request: Request,
    route: Route | undefined,
    path: string,
    headers: Record<string, string>,
  ): Promise<Reply> => {
    checkHost(request);
    Object.assign(headers, origins.check(request));
    if (!route) {
      throw new ApiError(
        "not_found",
        `Cannot find ${shown(path)}: known paths are ${paths.join(", ")}`,
      );
    }
    if (
      request.method === "OPTIONS" && headers["access-control-allow-origin"]
    ) {
      return { response: new Response(null, { status: 204 }) };
    }
    const get = request.method === "HEAD" ? "GET" : request.method;
    if (get !== route.method) {
      throw new ApiError(
        "method_not_allowed",
        `Cannot ${shown(request.method)} ${path}: use ${route.method}`,
        null,
        { allow: route.method },
      );
    }
    if (route.key) await checkKey(request);
    return await route.answer(request);
  };
}
