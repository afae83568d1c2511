/**
 * A whole answer as a body that is still to come. Deno hears that a client has
 * gone only once the head of the response is out (with request bodies of more
 * than a few hundred bytes, as of 2.9), so the head goes out as soon as it can
 * be nothing but 200.
 * @module
 */
import { completion, head } from "./chunk.ts";
import { faultOf } from "./faults.ts";
import type { Job } from "./job.ts";
import { outlet } from "./outlet.ts";
import type { StreamOptions } from "./sse.ts";

/** The body; its reader's leaving cancels the job, a failure breaks it off. */
export function laterJson(
  job: Job,
  { model, untaken, ended }: Omit<StreamOptions, "includeUsage">,
): ReadableStream<Uint8Array> {
  const about = head(model);
  return outlet(
    (out) => {
      job.outcome.then((outcome) => {
        out.write(JSON.stringify(completion(about, outcome)));
        out.end();
        ended(outcome);
      }, (error) => {
        const fault = faultOf(error);
        out.fail(fault);
        ended(fault, error);
      });
    },
    job.cancel,
    untaken,
  );
}
