/**
 * Attacks that have stopped or blocked servers of this kind. Each runs once and ends
 * by itself; none may be answered with a 500.
 * @module
 */

/** Something that an outsider does to a server; returns the statuses that came back. */
export type Attack = (port: number) => Promise<number[]>;

const host = "127.0.0.1";

async function post(port: number, body: string): Promise<number> {
  const response = await fetch(`http://${host}:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  await response.text();
  return response.status;
}

const say = (content: unknown, more: object = {}) =>
  JSON.stringify({
    messages: [{ role: "user", content }],
    max_tokens: 4,
    ...more,
  });

/** Many at once; one that is cut off while it sends counts as 0. */
function all(
  n: number,
  one: (i: number) => Promise<number>,
): Promise<number[]> {
  return Promise.all(
    Array.from({ length: n }, (_, i) => one(i).catch(() => 0)),
  );
}

const schema = (schema: unknown) =>
  say("hi", {
    response_format: { type: "json_schema", json_schema: { schema } },
  });

const SCHEMAS: readonly unknown[] = [
  { anyOf: Array(8000).fill({ type: "string", minLength: 4096 }) },
  {
    required: Array.from({ length: 45_000 }, (_, i) => `p${i}`),
  },
  { enum: ["a", "x".repeat(5_000_000)] },
  { enum: Array(90_000).fill(1) },
  {
    $defs: {
      a: {
        anyOf: [
          ...Array(40).fill({ type: "array", items: { $ref: "#/$defs/a" } }),
          { type: "string", maxLength: 4000 },
        ],
      },
    },
    $ref: "#/$defs/a",
  },
];

const TEXTS: readonly string[] = [
  "a".repeat(99_000),
  " ".repeat(99_000),
  "\u{1F468}\u200d".repeat(33_000),
  "a" + "\u0301".repeat(98_000),
  "<image><|im_end|>".repeat(5000),
];

const HEAD =
  `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;

/** A connection that sends something and is held for a while without being read. */
async function held(port: number, text: string, ms: number): Promise<void> {
  try {
    using connection = await Deno.connect({ hostname: host, port });
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) {
      at += await connection.write(bytes.subarray(at));
    }
    await new Promise((go) => setTimeout(go, ms));
  } catch { /* it was closed: that is its right */ }
}

const holding =
  (n: number, text: string, ms: number): Attack => async (port) => {
    await Promise.all(Array.from({ length: n }, () => held(port, text, ms)));
    return [];
  };

const LOUD = say("Tell me a long story", {
  max_tokens: 200,
  temperature: 2,
  logprobs: true,
  top_logprobs: 20,
  stream: true,
});

/** All attacks by name. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  "schemas": async (port) => {
    const statuses: number[] = [];
    for (const one of SCHEMAS) {
      statuses.push(await post(port, schema(one)).catch(() => 0));
    }
    return statuses;
  },
  "fields that nobody reads": (port) => {
    const filling = Array(2_000_000).fill("{}").join(",");
    const body = say("hi").replace("}]", `}],"metadata":[${filling}]`);
    return all(6, () => post(port, body));
  },
  "bodies that are too large": (port) =>
    all(2, () => post(port, say("hi").padEnd(25_000_000))),
  "long texts": async (port) => {
    const statuses: number[] = [];
    for (const text of TEXTS) {
      statuses.push(await post(port, say(text)).catch(() => 0));
    }
    return statuses;
  },
  "many images": (port) => {
    const image = {
      type: "image_url",
      image_url: { url: `data:image/png;base64,${"A".repeat(400_000)}` },
    };
    return all(8, () => post(port, say(Array(4).fill(image))));
  },
  "idle connections": holding(400, "", 1500),
  "half heads": holding(50, "GET /health HTTP/1.1\r\nHost: loc", 1500),
  "bodies that stop": holding(
    8,
    `${HEAD}Content-Length: 20000000\r\n\r\n{`,
    1500,
  ),
  "readers that take nothing": holding(
    8,
    `${HEAD}Content-Length: ${LOUD.length}\r\n\r\n${LOUD}`,
    2000,
  ),
  "clients that leave": holding(
    20,
    `${HEAD}Content-Length: ${LOUD.length}\r\n\r\n${LOUD}`,
    30,
  ),
  "two lengths": holding(
    5,
    `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n`,
    100,
  ),
  "a chunk without end": holding(
    5,
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n1;${"x".repeat(100_000)}`,
    100,
  ),
  "uploads that fill the queue": holding(
    20,
    `${HEAD}Content-Length: 1000\r\n\r\n{`,
    7000,
  ),
  "noise": holding(20, "\0\xff\r\n\r\n".repeat(2000), 100),
};
