/**
 * The thread of the model: it opens the model, parses requests and answers
 * them. See remote.ts.
 * @module
 */
import { packError } from "../graph/thread_error.ts";
import { open } from "../session/open.ts";
import type { Session } from "../session/session.ts";
import { type Backend, localBackend } from "./backend.ts";
import { causeOf, faultOf } from "./faults.ts";
import { BEAT_MS, type Fault, type News, type Order } from "./protocol.ts";

/** The worker's side of the global scope, which the library types do not name. */
interface Scope {
  onmessage: ((event: MessageEvent<Order>) => void) | null;
  postMessage(news: News): void;
  close(): void;
}
const scope = globalThis as unknown as Scope;
const tell = (news: News) => scope.postMessage(news);

let session: Session | undefined, backend: Backend | undefined;
const ends = new Map<number, Record<"cancel" | "cut", AbortController>>();

scope.onmessage = async ({ data: order }) => {
  switch (order.type) {
    case "open":
      setInterval(() => tell({ type: "beat" }), BEAT_MS);
      try {
        session = await open(order.path, {
          ...order.options,
          signal: closing.signal,
        });
        backend = localBackend(session, order.rules);
        tell({ type: "open", info: session.info });
      } catch (error) {
        tell({ type: "failed", error: packError(error) });
      }
      return;
    case "begin":
      return answer(order.id, order.body);
    case "cancel":
    case "cut":
      return ends.get(order.id)?.[order.type].abort();
    case "close":
      closing.abort();
      await session?.[Symbol.asyncDispose]();
      tell({ type: "closed" });
      scope.close();
  }
};

const closing = new AbortController();

async function answer(id: number, body: Uint8Array<ArrayBuffer>) {
  const end = { cancel: new AbortController(), cut: new AbortController() };
  ends.set(id, end);
  const begun = backend!.begin(
    body,
    { gone: end.cancel.signal, cut: end.cut.signal },
    () => tell({ type: "turn", id }),
  );
  try {
    tell({ type: "asked", id, asked: await begun.asked });
    begun.checked.then(() => tell({ type: "checked", id }), () => {});
    for await (const text of begun.pieces) tell({ type: "piece", id, text });
    tell({ type: "done", id, outcome: await begun.outcome });
  } catch (error) {
    // Why it was ended is known to the outcome alone.
    const why = await begun.outcome.then(() => error, (e) => e);
    tell({ type: "fault", id, fault: faultFor(why) });
  } finally {
    ends.delete(id);
  }
}

function faultFor(error: unknown): Fault {
  const { code, message, param, headers, status } = faultOf(error);
  const inner = status === 500 ? causeOf(error) : undefined;
  return {
    ...{ code, message, param, headers },
    ...(inner === undefined ? {} : { inner: packError(inner) }),
  };
}
