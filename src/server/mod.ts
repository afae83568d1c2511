/**
 * An OpenAI-compatible server over a session: chat completions with images,
 * streaming, a queue, metrics, and a web page.
 *
 * ```ts ignore
 * import { open } from "@mquant/mquant";
 * import { listen } from "@mquant/mquant/server";
 *
 * await using model = await open("model.safetensors");
 * const server = listen(model, { port: 8080 });
 * console.log(server.url);
 * ```
 * @module
 */
export { handler } from "./handler.ts";
export type { Answering } from "./job.ts";
export { endOnSignals, type Lifecycle } from "./lifecycle.ts";
export { listen, type Listening, type ListenOptions } from "./listen.ts";
export {
  type HandlerOptions,
  LIMITS,
  type Limits,
  type LogEntry,
  type Metric,
} from "./options.ts";
