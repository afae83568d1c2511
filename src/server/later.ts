/**
 * A complete answer whose body is written later. Deno 2.9 reports a client that
 * disconnects only after the response head is sent (for request bodies above a
 * few hundred bytes), so the head is sent as soon as the status is certain to
 * be 200.
 * @module
 */
import { completion, head } from "./chunk.ts";
import { faultOf } from "./faults.ts";
import type { Job } from "./job.ts";
import { outlet } from "./outlet.ts";
import type { StreamOptions } from "./sse.ts";

/**
 * The body of the response. If its reader leaves, the job is cancelled; if the
 * job fails, the body breaks off.
 */
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
