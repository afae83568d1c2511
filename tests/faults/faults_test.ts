/** A sample of faults of each kind; `deno task faults` tries every call. */
import { assert } from "@std/assert";
import { SCENARIOS, tryFault, wholeRun } from "./scenarios.ts";

/** Calls tried per scenario; its first and last always. */
const TRIES: Readonly<Record<string, number>> = {
  write: 1000,
  quantize: 4,
  resume: 4,
};

for (const scenario of SCENARIOS) {
  Deno.test({
    name: `faults at calls to the file system: ${scenario.name}`,
    sanitizeResources: false, // a file whose close is not reached, say
    async fn() {
      const { files, calls } = await wholeRun(scenario);
      let met = 0, injected = 0;
      const tries = Math.min(calls.length, TRIES[scenario.name] ?? 24);
      for (let i = 0; i < tries; i++) {
        const last = calls.length - 1;
        const at = Math.floor(i * last / Math.max(1, tries - 1));
        const { name, faults } = calls[at];
        // One way of each call, or every way of every call.
        const some = tries < calls.length
          ? [faults[i % faults.length]]
          : faults;
        for (const fault of some) {
          const { failed } = await tryFault(scenario, at + 1, fault, files);
          injected++;
          if (failed === name) met++;
        }
      }
      // What a folder's photos read and write side by side may change places.
      assert(2 * met > injected, `${met} of ${injected} calls were met`);
    },
  });
}
