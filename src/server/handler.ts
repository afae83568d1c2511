/**
 * The server as one function from a request to a response, for `Deno.serve`,
 * `deno serve`, Deno Deploy and tests.
 * @module
 */
import { admission } from "./admission.ts";
import { type Backend, localBackend } from "./backend.ts";
import { completing, type Ended, type Reply } from "./completions.ts";
import { ApiError, shown } from "./error.ts";
import { causeOf, faultOf } from "./faults.ts";
import { hostGuard, keyGuard, originGuard } from "./guard.ts";
import { type Answering, shuttingDown } from "./job.ts";
import { metrics } from "./metrics.ts";
import { type HandlerOptions, LIMITS } from "./options.ts";
import { pageResponse } from "./page/page.ts";

interface Route {
  readonly name: string;
  readonly method: "GET" | "POST";
  /** Whether the API key, where there is one, must be shown. */
  readonly key: boolean;
  answer(request: Request): Promise<Reply> | Reply;
}

const HEADERS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

/** Who answers: a session, or what stands for one. */
export type Source = Answering | Backend;

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

/** The same over a backend too. */
export function backendHandler(
  source: Source | PromiseLike<Source>,
  options: HandlerOptions = {},
): (request: Request) => Promise<Response> {
  const { model = "mquant", lifecycle, log, onError } = options;
  const limits = { ...LIMITS, ...options.limits };
  const created = Math.floor(Date.now() / 1000);
  const house = admission(1 + limits.queue, limits.heldBytes);
  const counted = metrics();
  const checkHost = hostGuard(options.hosts);
  const origins = originGuard(options.origins);
  const checkKey = keyGuard(options);
  let ready: Backend | undefined, failed: unknown;
  const take = (source: Source) => {
    ready = "chat" in source ? localBackend(source, { model, limits }) : source;
  };
  if ("then" in source) {
    source.then(take, (error) => {
      failed = error;
      onError?.(error);
    });
  } else take(source);

  lifecycle?.draining.addEventListener("abort", () => {
    if (house.empty()) lifecycle.settled();
  });

  /** Who answers; throws where it is not there yet. */
  function loaded(): Backend {
    if (ready) return ready;
    throw failed === undefined
      ? new ApiError(
        "loading",
        "Cannot answer: the model is being loaded; ask again in a moment",
        null,
        { "retry-after": "1" },
      )
      : new ApiError(
        "internal_error",
        "Cannot answer: the model could not be loaded; the server's log says why",
      );
  }

  function health(): Reply {
    if (lifecycle?.draining.aborted) throw shuttingDown();
    loaded();
    return { response: Response.json({ status: "ok" }) };
  }

  function describeModel() {
    const { info } = loaded();
    return {
      id: model,
      object: "model",
      created,
      owned_by: "mquant",
      meta: {
        architecture: info.architecture,
        recipe: info.recipe,
        context: info.context,
        image_tokens: info.imageTokens,
        threads: info.threads,
        build: info.build,
        memory_bytes: info.memory.total,
        load_ms: Math.round(info.loadMs),
        max_tokens: limits.maxTokens,
        images: limits.images,
      },
    };
  }

  const completions = completing({
    backend: loaded,
    house,
    counted,
    limits,
    model,
    ...(lifecycle ? { lifecycle } : {}),
    ...(onError ? { onError } : {}),
  });

  const routes = new Map<string, Route>();
  const add = (path: string, route: Route) => routes.set(path, route);
  add("/v1/chat/completions", {
    name: "chat_completions",
    method: "POST",
    key: true,
    answer: completions,
  });
  add("/v1/models", {
    name: "models",
    method: "GET",
    key: true,
    answer: () => ({
      response: Response.json({ object: "list", data: [describeModel()] }),
    }),
  });
  add(`/v1/models/${encodeURIComponent(model)}`, {
    name: "models",
    method: "GET",
    key: true,
    answer: () => ({ response: Response.json(describeModel()) }),
  });
  add("/health", { name: "health", method: "GET", key: false, answer: health });
  add("/metrics", {
    name: "metrics",
    method: "GET",
    key: true,
    answer: () => ({
      response: new Response(
        counted.text(house, ready, options.metrics?.() ?? []),
        {
          headers: {
            "content-type": "text/plain; version=0.0.4; charset=utf-8",
          },
        },
      ),
    }),
  });
  if (options.page !== false) {
    const answer = () => ({ response: pageResponse() });
    add("/", { name: "page", method: "GET", key: false, answer });
  }

  /** Answers; `headers` gets what goes with the answer, or with the error. */
  async function reply(
    request: Request,
    route: Route | undefined,
    path: string,
    headers: Record<string, string>,
  ): Promise<Reply> {
    checkHost(request);
    Object.assign(headers, origins.check(request));
    if (!route) {
      throw new ApiError(
        "not_found",
        `Cannot find ${shown(path)}: there are ${
          [...routes.keys()].join(", ")
        }`,
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
  }

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
      const made = await reply(request, route, path, headers);
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
