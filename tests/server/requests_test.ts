/**
 * Hostile and wrong requests: the right status and code, and the next valid request is
 * answered.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { handler, LIMITS } from "../../src/server/mod.ts";
import { ask, fake, photoUri, say, toySession } from "./fake.ts";

interface Fault {
  error: { message: string; type: string; param: string | null; code: string };
}

async function faultOf(response: Response): Promise<[number, Fault["error"]]> {
  const { error } = await response.json() as Fault;
  assertEquals(Object.keys(error).sort(), ["code", "message", "param", "type"]);
  assertMatch(error.message, /^Cannot /);
  assert(!/\/(work|home|src|tmp)\/|\.ts:\d|at async/.test(error.message));
  return [response.status, error];
}

const GOOD = say("hi");

Deno.test("every field with a wrong value is refused by its name", async () => {
  const handle = handler(fake());
  const numbers: Record<string, unknown[]> = {
    temperature: [-1, 2.001, 1e308, "1", "NaN", [], {}, true],
    top_p: [-0.1, 1.1, 1e308, "1"],
    top_k: [0, -1, 1.5, 1e308, "1", 2 ** 53],
    seed: [1.5, 2 ** 53, 1e308, "1", {}],
    max_tokens: [0, -1, 1.5, 1025, 2 ** 31, 2 ** 53, 1e308, "NaN", []],
    max_completion_tokens: [0, -1, 1.5, 1025, 1e308, "5"],
    n: [0, 2, -1, 1e308, "1"],
    stream: [1, "true", [], {}],
    stream_options: [1, [], "x", { include_usage: 1 }],
    stop: ["", 5, ["a", "b", "c", "d", "e"], [""], [5], "x".repeat(257)],
    logprobs: [1, "true", []],
    top_logprobs: [21, -1, 0.5, "1"],
    frequency_penalty: [0.5],
    presence_penalty: [-2],
    logit_bias: [{ "5": 100 }],
    tools: [[{}]],
    response_format: [
      ...[5, "json", {}, { type: "xml" }, { type: "json_schema" }],
      { type: "json_schema", json_schema: {} },
      { type: "json_schema", json_schema: { name: "x", schema: true } },
    ],
    model: [5, {}, []],
    messages: [null, [], {}, "hi", 5, [null], [[]], ["hi"]],
  };
  let cases = 0;
  for (const [name, values] of Object.entries(numbers)) {
    for (const value of values) {
      const response = await handle(ask({ ...GOOD, [name]: value }));
      const [status, { param, code }] = await faultOf(response);
      assertEquals(status, 400, `${name}: ${JSON.stringify(value)}`);
      assert(param?.startsWith(name) || param === "include_usage", param ?? "");
      assertMatch(code, /^(invalid_type|invalid_value|unsupported_parameter)$/);
      cases++;
    }
  }
  assert(cases > 60);
  assertEquals((await handle(ask(GOOD))).status, 200);
});

Deno.test("limits hold at the limit and not beyond", async () => {
  const handle = handler(fake());
  const status = async (body: unknown) => (await handle(ask(body))).status;
  assertEquals(await status({ ...GOOD, max_tokens: LIMITS.maxTokens }), 200);
  assertEquals(await status({ ...GOOD, stop: "x".repeat(256) }), 200);
  assertEquals(await status({ ...GOOD, stop: ["a", "b", "c", "d"] }), 200);
  assertEquals(await status({ ...GOOD, temperature: 2, top_p: 0 }), 200);
  assertEquals(await status(say("x".repeat(LIMITS.textLength))), 200);
  assertEquals(await status(say("x".repeat(LIMITS.textLength + 1))), 400);
  const [message] = (GOOD as { messages: unknown[] }).messages;
  const messages = Array.from({ length: LIMITS.messages }, () => message);
  assertEquals(await status({ messages }), 200);
  assertEquals(await status({ messages: [...messages, message] }), 400);
});

Deno.test("null is 'not given', and what changes nothing is allowed", async () => {
  const handle = handler(fake(), { model: "m" });
  const nothing = {
    ...{ model: "m", temperature: null, top_p: null, seed: null, stop: null },
    ...{ max_tokens: null, stream: null, stream_options: null, n: 1 },
    ...{ logprobs: false, frequency_penalty: 0, presence_penalty: 0 },
    ...{ tools: [], tool_choice: "auto", response_format: { type: "text" } },
    ...{ user: "someone", metadata: { a: "b" }, logit_bias: {} },
  };
  assertEquals((await handle(ask({ ...GOOD, ...nothing }))).status, 200);
});

Deno.test("fields that exclude each other, and a schema that cannot be kept, are refused", async () => {
  await using session = await toySession();
  const handle = handler(session);
  const format = (schema: unknown) => ({
    response_format: {
      type: "json_schema",
      json_schema: { name: "x", schema },
    },
  });
  const cases: [object, string][] = [
    [{ top_logprobs: 3 }, "logprobs"],
    [{ logprobs: false, top_logprobs: 3 }, "logprobs"],
    [{ ...format({ type: "null" }), stop: "x" }, "stop"],
    [format({ type: "string", pattern: "x" }), "response_format"],
    [
      { ...format({ const: "four words are there" }), max_tokens: 2 },
      "response_format",
    ],
  ];
  for (const [fields, param] of cases) {
    for (const stream of [false, true]) {
      const response = await handle(ask({ ...GOOD, ...fields, stream }));
      const [status, fault] = await faultOf(response);
      assertEquals([status, fault.param], [400, param], fault.message);
      assertMatch(fault.message, /^Cannot answer: /);
    }
  }
});

Deno.test("bad bodies, types and nesting", async () => {
  const handle = handler(fake());
  const deep = (n: number) =>
    `{"messages":${"[".repeat(n - 1)}${"]".repeat(n - 1)}}`;
  const cases: [string, number, string][] = [
    ["", 400, "invalid_json"],
    ["{", 400, "invalid_json"],
    ["nonsense", 400, "invalid_json"],
    ['{"messages":[{"role":"user","content":"\\"}', 400, "invalid_json"],
    ["[]", 400, "invalid_type"],
    ["null", 400, "invalid_type"],
    ['"text"', 400, "invalid_type"],
    ["{}", 400, "invalid_type"],
    [deep(33), 400, "invalid_json"],
    [deep(100_000), 400, "invalid_json"],
    ['{"__proto__":{"x":1},"messages":[]}', 400, "unknown_parameter"],
    ['{"constructor":1}', 400, "unknown_parameter"],
    ['{"chat_template":"{{ x }}"}', 400, "unknown_parameter"],
    ['{"chat_template_kwargs":{}}', 400, "unknown_parameter"],
  ];
  for (const [body, status, code] of cases) {
    const got = await faultOf(await handle(ask(body)));
    assertEquals([got[0], got[1].code], [status, code], body.slice(0, 80));
  }
  const bytes = new Request("http://localhost/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: new Uint8Array([0x22, 0xff, 0x22]),
  });
  assertEquals((await faultOf(await handle(bytes)))[1].code, "invalid_json");
  for (const type of ["text/plain", "application/jsonp", ""]) {
    const response = await handle(ask(GOOD, { "content-type": type }));
    assertEquals((await faultOf(response))[0], 415);
  }
});

Deno.test("messages and parts that are wrong say where", async () => {
  const handle = handler(fake());
  const one = (m: unknown) => ({ messages: [m] });
  const part = (p: unknown) => one({ role: "user", content: [p] });
  const image = (url: unknown) => part({ type: "image_url", image_url: url });
  const cases: [unknown, string, string][] = [
    [one({ content: "x" }), "messages[0].role", "invalid_type"],
    [one({ role: "root", content: "x" }), "messages[0].role", "invalid_value"],
    [one({ role: "tool", content: "x" }), "messages[0].role", "invalid_value"],
    [
      one({ role: "toString", content: "x" }),
      "messages[0].role",
      "invalid_value",
    ],
    [one({ role: "user" }), "messages[0].content", "invalid_type"],
    [
      one({ role: "user", content: [] }),
      "messages[0].content",
      "invalid_value",
    ],
    [
      one({ role: "assistant", content: "x", tool_calls: [{}] }),
      "messages[0].tool_calls",
      "unsupported_parameter",
    ],
    [part({ type: "audio" }), "messages[0].content[0].type", "invalid_value"],
    [part({ type: "text" }), "messages[0].content[0].text", "invalid_type"],
    [
      image("data:image/png;base64,AAAA"),
      "messages[0].content[0].image_url",
      "invalid_type",
    ],
  ];
  const at = "messages[0].content[0].image_url.url";
  for (
    const url of [
      "http://169.254.169.254/latest/meta-data",
      "https://example.com/cat.jpg",
      "HTTP://LOCALHOST:8080/health",
      "file:///etc/passwd",
      "/etc/passwd",
      "../secret.png",
      "blob:x",
      "",
      " data:image/png;base64,AAAA",
    ]
  ) cases.push([image({ url }), at, "remote_image_refused"]);
  for (
    const url of [
      "data:",
      "data:,hello",
      "data:text/html;base64,AAAA",
      "data:image/png,rawbytes",
      "data:image/png;base64,",
      "data:image/png;base64,!!!!",
      "data:image/png;base64,A",
      `data:image/png;${"a=b;".repeat(100)}base64,AAAA`,
    ]
  ) cases.push([image({ url }), at, "invalid_image"]);
  for (const url of [5, null, [], {}, undefined]) {
    cases.push([image({ url }), at, "invalid_type"]);
  }
  for (const [body, param, code] of cases) {
    const [status, error] = await faultOf(await handle(ask(body)));
    assertEquals(
      [status, error.param, error.code],
      [400, param, code],
      JSON.stringify(body),
    );
  }
  const system = {
    role: "system",
    content: [{ type: "image_url", image_url: { url: await photoUri() } }],
  };
  assertEquals((await handle(ask(one(system)))).status, 400);
});

Deno.test("at most four images; damaged ones are 400, streamed or not", async () => {
  await using session = await toySession();
  const handle = handler(session);
  const photo = await photoUri();
  const of = (...urls: string[]) => ({
    max_tokens: 1,
    messages: [{
      role: "user",
      content: [
        ...urls.map((url) => ({ type: "image_url", image_url: { url } })),
        { type: "text", text: "?" },
      ],
    }],
  });
  const four = [photo, photo, photo, photo], any = handler(fake());
  assertEquals((await any(ask(of(...four)))).status, 200);
  const five = await faultOf(await any(ask(of(...four, photo))));
  assertEquals([five[0], five[1].code], [400, "too_many_images"]);
  const bad = [
    `data:image/jpeg;base64,${btoa("not a picture at all")}`,
    photo.slice(0, 3000),
    `data:image/gif;base64,${btoa("GIF89a and so on and on")}`,
  ];
  for (const url of bad) {
    for (const stream of [false, true]) {
      const response = await handle(ask({ ...of(url), stream }));
      const [status, { code }] = await faultOf(response);
      assertEquals([status, code], [400, "invalid_image"]);
    }
  }
  const text = await (await handle(ask({ ...of(photo), stream: true }))).text();
  assertMatch(text, /data: \[DONE\]\n\n$/);
});

Deno.test("Host, Origin, key, method and path", async () => {
  const apiKey = "0123456789abcdef";
  const handle = handler(fake(), {
    apiKey,
    hosts: ["photos.lan"],
    origins: ["http://app.example"],
  });
  const call = async (
    path: string,
    headers: Record<string, string>,
    method = "GET",
  ) =>
    await handle(new Request(`http://localhost${path}`, { method, headers }));
  const key = { authorization: `Bearer ${apiKey}` };
  const status = async (...args: Parameters<typeof call>) =>
    (await call(...args)).status;
  for (
    const host of [
      "localhost",
      "LOCALHOST:8080",
      "127.0.0.1:1",
      "[::1]:8080",
      "photos.lan",
      "localhost.",
    ]
  ) assertEquals(await status("/health", { host }), 200, host);
  for (
    const host of [
      "evil.example",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "photos.lan.evil",
      "0.0.0.0",
      "[::ffff:127.0.0.1]",
      "",
    ]
  ) assertEquals(await status("/", { host }), 421, host);
  const host = "localhost:8080";
  const origin = async (origin: string, path = "/health") =>
    await status(path, { host, origin });
  assertEquals(await origin("http://localhost:8080"), 200);
  assertEquals(await origin("http://app.example"), 200);
  for (
    const bad of [
      "http://evil.example",
      "null",
      "http://localhost:9090",
      "http://localhost:8080.evil.example",
      "http://app.example.evil",
      "file://",
    ]
  ) assertEquals(await origin(bad), 403, bad);
  const plain = await call("/health", { host });
  assertEquals(plain.headers.get("access-control-allow-origin"), null);
  const cors = await call("/v1/nothing", {
    host,
    origin: "http://app.example",
  });
  assertEquals(
    cors.headers.get("access-control-allow-origin"),
    "http://app.example",
  );
  const preflight = await call("/v1/chat/completions", {
    host,
    origin: "http://app.example",
    "access-control-request-method": "POST",
  }, "OPTIONS");
  assertEquals(preflight.status, 204);
  assertEquals(await status("/v1/models", key), 200);
  assertEquals(await status("/metrics", key), 200);
  for (
    const wrong of [
      {},
      { authorization: "" },
      { authorization: apiKey },
      { authorization: `Bearer ${apiKey}x` },
      { authorization: `Bearer ${apiKey.slice(1)}` },
      { authorization: "Basic MDEyMzQ1Njc4OWFiY2RlZg==" },
      { "x-api-key": apiKey },
    ] as Record<string, string>[]
  ) {
    assertEquals(await status("/v1/models", wrong), 401);
    assertEquals(await status("/metrics", wrong), 401);
    assertEquals((await handle(ask(GOOD, wrong))).status, 401);
  }
  assertEquals(await status("/v1/chat/completions", key), 405);
  assertEquals(await status("/", {}, "DELETE"), 405);
  for (const path of ["/v1", "/..%2f", "/etc/passwd", "/v1/models/x", "//"]) {
    assertEquals(await status(path, key), 404);
  }
  const head = await call("/health", {}, "HEAD");
  assertEquals([head.status, await head.text()], [200, ""]);
});
