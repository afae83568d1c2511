/** Searches one target with one seed; run by main.ts. */
import { answerTasks } from "../campaign/lines.ts";
import { search } from "./search.ts";
import { WORST } from "./targets.ts";

/** A search. */
export interface Search {
  readonly target: string;
  readonly seed: number;
  readonly evaluations: number;
}

if (import.meta.main) {
  await answerTasks<Search>(({ target, seed, evaluations }) =>
    search(WORST.find((t) => t.name === target)!, seed, evaluations)
  );
}
