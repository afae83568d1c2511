/**
 * Counters and gauges in the Prometheus text format.
 * @module
 */
import type { Result } from "../session/answer.ts";
import type { Admission } from "./admission.ts";
import type { Answering } from "./job.ts";
import type { Metric } from "./options.ts";

const BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];

/** The metrics of a server. */
export interface Metrics {
  /** Counts a finished request. */
  request(route: string, status: number, ms: number): void;
  /** Counts a complete answer. */
  answer(result: Result, images: number): void;
  /** The text of /metrics. */
  text(
    admission: Admission,
    session: Pick<Answering, "info"> | undefined,
    more: readonly Metric[],
  ): string;
}

/** Metrics, all zero. */
export function metrics(): Metrics {
  const requests = new Map<string, number>();
  const buckets = BUCKETS.map(() => 0);
  const total = { prompt: 0, answer: 0, images: 0, count: 0, seconds: 0 };
  const stages = { queue: 0, image: 0, vision: 0, prefill: 0, decode: 0 };
  return {
    request(route, status, ms) {
      const key = `route="${route}",status="${status}"`;
      requests.set(key, (requests.get(key) ?? 0) + 1);
      if (route !== "chat_completions") return;
      total.count++;
      total.seconds += ms / 1000;
      BUCKETS.forEach((le, i) => buckets[i] += ms / 1000 <= le ? 1 : 0);
    },
    answer({ promptTokens, tokens, timings }, images) {
      total.prompt += promptTokens;
      total.answer += tokens.length;
      total.images += images;
      stages.queue += timings.queueMs / 1000;
      stages.image += timings.imageMs / 1000;
      stages.vision += timings.visionMs / 1000;
      stages.prefill += timings.prefillMs / 1000;
      stages.decode += timings.decodeMs / 1000;
    },
    text(admission, session, more) {
      const { lines, metric } = page();
      const one = (value: number) => [["", value]] as const;
      metric("requests_total", "counter", "Requests ended.", requests);
      metric(
        "prompt_tokens_total",
        "counter",
        "Tokens of prompts, image tokens included.",
        one(total.prompt),
      );
      metric(
        "completion_tokens_total",
        "counter",
        "Tokens of answers.",
        one(total.answer),
      );
      metric("images_total", "counter", "Images seen.", one(total.images));
      metric(
        "stage_seconds_total",
        "counter",
        "Time of answers by stage.",
        Object.entries(stages).map(([s, v]) => [`stage="${s}"`, v] as const),
      );
      metric(
        "inside",
        "gauge",
        "Requests being read, waiting for their turn, and answered.",
        (["reading", "waiting", "running"] as const).map((stage) =>
          [`stage="${stage}"`, admission.count(stage)] as const
        ),
      );
      metric(
        "held_bytes",
        "gauge",
        "Bytes of the bodies of requests inside.",
        one(admission.held),
      );
      lines.push(...histogramLines(buckets, total));
      for (const { name, type, help, value } of more) {
        metric(name, type, help, one(value));
      }
      metric("ready", "gauge", "Whether the model is loaded.", one(+!!session));
      if (session) {
        const { memory, threads } = session.info;
        metric("memory_bytes", "gauge", "Memory of the model by use.", [
          ...Object.entries(memory).filter(([use]) => use !== "total")
            .map(([use, bytes]) => [`use="${use}"`, bytes] as const),
        ]);
        metric("threads", "gauge", "Threads at work.", one(threads));
      }
      return `${lines.join("\n")}\n`;
    },
  };
}

/** The histogram of the duration of chat completions. */
function histogramLines(
  buckets: readonly number[],
  total: { readonly count: number; readonly seconds: number },
): string[] {
  return [
    "# HELP mquant_completion_seconds Time of chat completions.",
    "# TYPE mquant_completion_seconds histogram",
    ...BUCKETS.map((le, i) =>
      `mquant_completion_seconds_bucket{le="${le}"} ${buckets[i]}`
    ),
    `mquant_completion_seconds_bucket{le="+Inf"} ${total.count}`,
    `mquant_completion_seconds_sum ${total.seconds}`,
    `mquant_completion_seconds_count ${total.count}`,
  ];
}

/** Collects the lines of the page. */
function page() {
  const lines: string[] = [];
  const metric = (
    name: string,
    type: string,
    help: string,
    values: Iterable<readonly [labels: string, value: number]>,
  ) => {
    lines.push(`# HELP mquant_${name} ${help}`);
    lines.push(`# TYPE mquant_${name} ${type}`);
    for (const [labels, value] of values) {
      lines.push(`mquant_${name}${labels && `{${labels}}`} ${value}`);
    }
  };
  return { lines, metric };
}
