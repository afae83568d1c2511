/** Lets a range of calls of one scenario fail; run by main.ts. */
import { answerTasks } from "../campaign/lines.ts";
import { FAULTS } from "./inject.ts";
import { SCENARIOS, tryFault, wholeRun } from "./scenarios.ts";

/** Calls of a scenario that shall fail, by every fault. */
export interface Range {
  readonly scenario: string;
  readonly from: number;
  readonly to: number;
}

/** What came of a range. */
export interface Tried {
  readonly tried: number;
  /** Faults by the call they hit. */
  readonly hit: Record<string, number>;
  readonly findings: unknown[];
}

const wholes = new Map<string, Promise<Map<string, string>>>();

async function work({ scenario: name, from, to }: Range): Promise<Tried> {
  const scenario = SCENARIOS.find((s) => s.name === name)!;
  const known = wholes.get(name) ?? wholeRun(scenario).then((r) => r.files);
  wholes.set(name, known);
  const whole = await known, hit: Record<string, number> = {};
  const findings: unknown[] = [];
  let tried = 0;
  for (let at = from; at < to; at++) {
    for (const fault of FAULTS) {
      tried++;
      try {
        const { failed } = await tryFault(scenario, at, fault, whole);
        if (!failed) continue;
        const key = `${fault} in ${failed}`;
        hit[key] = (hit[key] ?? 0) + 1;
      } catch (error) {
        const what = (error as Error).message.slice(0, 400);
        findings.push({ scenario: name, at, fault, what });
      }
    }
  }
  return { tried, hit, findings };
}

if (import.meta.main) await answerTasks(work);
