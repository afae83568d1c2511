/**
 * The routes of the server.
 * @module
 */
import { admissionControl } from "./admission.ts";
import { type Backend, localBackend } from "./backend.ts";
import { completing, type Reply } from "./completions.ts";
import { ApiError } from "./error.ts";
import { type Answering, shuttingDown } from "./job.ts";
import type { Metrics } from "./metrics.ts";
import type { HandlerOptions, Limits } from "./options.ts";
import { pageResponse } from "./page/page.ts";

/** A session or a backend. */
export type Source = Answering | Backend;

/** A route. */
export interface Route {
  /** Its name in metrics and log. */
  readonly name: string;
  /** HTTP method. */
  readonly method: "GET" | "POST";
  /** Whether it needs the API key, if the server has one. */
  readonly key: boolean;
  /**
   * Answers a request.
   * @throws {ApiError} and errors of the session
   */
  answer(request: Request): Promise<Reply> | Reply;
}

/** Options of the routes. */
export interface RouteOptions extends HandlerOptions {
  readonly model: string;
  readonly limits: Limits;
  /** Metrics. */
  readonly counted: Metrics;
}

/** The routes of a session or a backend. */
export function routesOf(
  source: Source | PromiseLike<Source>,
  options: RouteOptions,
): ReadonlyMap<string, Route> {
  const { model, limits, lifecycle, counted, onError } = options;
  const admission = admissionControl({
    requests: 1 + limits.queue,
    bytes: limits.heldBytes,
    slowMs: limits.slowBodyMs,
  });
  const arrived = arriving(source, options);
  lifecycle?.draining.addEventListener("abort", () => {
    if (admission.empty()) lifecycle.settled();
  });
  const created = Math.floor(Date.now() / 1000);
  const describe = () => describeModel(arrived.backend(), options, created);
  const get = (
    name: string,
    key: boolean,
    answer: () => Response,
  ): Route => ({
    ...{ name, key, method: "GET" },
    answer: () => ({ response: answer() }),
  });
  return new Map<string, Route>([
    ["/v1/chat/completions", {
      name: "chat_completions",
      method: "POST",
      key: true,
      answer: completing({
        backend: arrived.backend,
        admission,
        counted,
        limits,
        model,
        ...(lifecycle ? { lifecycle } : {}),
        ...(onError ? { onError } : {}),
      }),
    }],
    [
      "/v1/models",
      get(
        "models",
        true,
        () => Response.json({ object: "list", data: [describe()] }),
      ),
    ],
    [
      `/v1/models/${encodeURIComponent(model)}`,
      get("models", true, () => Response.json(describe())),
    ],
    [
      "/health",
      get("health", false, () => {
        if (lifecycle?.draining.aborted) throw shuttingDown();
        arrived.backend();
        return Response.json({ status: "ok" });
      }),
    ],
    [
      "/metrics",
      get("metrics", true, () => {
        const more = options.metrics?.() ?? [];
        return new Response(counted.text(admission, arrived.now(), more), {
          headers: {
            "content-type": "text/plain; version=0.0.4; charset=utf-8",
          },
        });
      }),
    ],
    ...options.page === false
      ? []
      : [["/", get("page", false, pageResponse)] as const],
  ]);
}

/** A backend that may still be loading. */
function arriving(
  source: Source | PromiseLike<Source>,
  { model, limits, onError }: RouteOptions,
) {
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
  return {
    /** The backend; undefined while it is loading. */
    now: () => ready,
    /** The backend; throws while it is loading. */
    backend(): Backend {
      if (ready) return ready;
      throw failed === undefined
        ? new ApiError(
          "loading",
          "Cannot answer: the model is still loading; try again later",
          null,
          { "retry-after": "1" },
        )
        : new ApiError(
          "internal_error",
          "Cannot answer: the model could not be loaded; the server's log says why",
        );
    },
  };
}

function describeModel(
  { info }: Backend,
  { model, limits }: RouteOptions,
  created: number,
): object {
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
