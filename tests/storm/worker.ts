/** One part of the storm; run by main.ts. */
import { answerTasks } from "../campaign/lines.ts";
import { bodies } from "./bodies.ts";
import { cancels } from "./cancels.ts";
import { clients } from "./clients.ts";
import type { Outcome } from "./outcome.ts";
import { shutdowns } from "./shutdowns.ts";

/** Numbers `from` to `to` − 1 of one kind. */
export interface Gust {
  readonly kind: "bodies" | "clients" | "cancels" | "shutdowns";
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

/** What each kind does. */
export const KINDS: Readonly<
  Record<Gust["kind"], (gust: Gust) => Promise<Outcome>>
> = { bodies, clients, cancels, shutdowns };

if (import.meta.main) {
  await answerTasks<Gust>((gust) => KINDS[gust.kind](gust));
}
