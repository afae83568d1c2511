/** Some faults of each kind in every test run; `deno task faults` tries every call. */
import { assert } from "@std/assert";
import { FAULTS } from "./inject.ts";
import { SCENARIOS, tryFault, wholeRun } from "./scenarios.ts";

/** Calls tried per scenario; its first and last always. */
const TRIES: Readonly<Record<string, number>> = { write: 1000, quantize: 4 };

for (const scenario of SCENARIOS) {
  Deno.test({
    name: `faults at calls to the file system: ${scenario.name}`,
    sanitizeResources: false, // a file whose close is not reached, say
    async fn() {
      const { files, calls } = await wholeRun(scenario);
      const tries = Math.min(calls, TRIES[scenario.name] ?? 24);
      let failed = 0;
      for (let i = 0; i < tries; i++) {
        const at = 1 + Math.floor(i * (calls - 1) / Math.max(1, tries - 1));
        for (const fault of FAULTS) {
          if (tries < calls && FAULTS[i % FAULTS.length] !== fault) continue;
          const done = await tryFault(scenario, at, fault, files);
          if (done.failed) failed++;
        }
      }
      assert(failed > tries / 8, `${failed} of ${tries} faults fitted`);
    },
  });
}
