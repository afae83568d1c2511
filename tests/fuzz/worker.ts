/** Runs a range of inputs of one target; run by main.ts. */
import { answerTasks } from "../campaign/lines.ts";
import { attack } from "./attack.ts";
import { TARGETS } from "./targets.ts";

/** A range of inputs. */
export interface Range {
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

if (import.meta.main) {
  await answerTasks<Range>(({ target, seed, from, to }) =>
    attack(TARGETS.find((t) => t.name === target)!, seed, from, to)
  );
}
