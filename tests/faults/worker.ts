/** Lets one call of a scenario fail in every possible way; run by main.ts. */
import { answerTasks } from "../campaign/lines.ts";
import { SCENARIOS, tryFault, type Whole, wholeRun } from "./scenarios.ts";

/** A call of a scenario that shall fail, counted from 1. */
export interface Place {
  readonly scenario: string;
  readonly at: number;
}

/** What came of it. */
export interface Tried {
  readonly tried: number;
  /** Faults by the call they hit. */
  readonly hit: Record<string, number>;
  readonly findings: unknown[];
}

const wholes = new Map<string, Promise<Whole>>();

async function work({ scenario: name, at }: Place): Promise<Tried> {
  const scenario = SCENARIOS.find((s) => s.name === name)!;
  const known = wholes.get(name) ?? wholeRun(scenario);
  wholes.set(name, known);
  const { files, calls } = await known;
  const { name: call, faults } = calls[at - 1];
  const hit: Record<string, number> = {}, findings: unknown[] = [];
  for (const fault of faults) {
    try {
      const { failed } = await tryFault(scenario, at, fault, files);
      // Calls side by side may change places: then another one fails, or none that can so.
      hit[failed ? `${fault} in ${failed}` : `${fault} met no ${call}`] = 1;
    } catch (error) {
      const what = (error as Error).message.slice(0, 400);
      findings.push({ scenario: name, at, fault, what });
    }
  }
  return { tried: faults.length, hit, findings };
}

if (import.meta.main) await answerTasks(work);
