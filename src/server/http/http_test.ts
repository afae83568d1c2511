/** The listener against clients of every kind. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Connection, type Handle, type Wire } from "./connection.ts";
import { connectionCounts, front, type FrontLimits } from "./front.ts";
import { HeadError, readHead } from "./head.ts";

const LIMITS: FrontLimits = {
  connections: 20,
  headMs: 300,
  idleMs: 300,
  writeMs: 300,
};

/** A listener on a free port, and how to talk to it. */
function listening(handle: Handle, limits: Partial<FrontLimits> = {}) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr, counts = connectionCounts();
  const server = front(listener, handle, { ...LIMITS, ...limits }, counts);
  return {
    counts,
    url: `http://127.0.0.1:${port}`,
    connect: () => Deno.connect({ hostname: "127.0.0.1", port }),
    async [Symbol.asyncDispose]() {
      const end = server.finish();
      server.cut();
      await end;
    },
  };
}

const encoder = new TextEncoder();

async function send(conn: Deno.Conn, text: string) {
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length;) {
    at += await conn.write(bytes.subarray(at));
  }
}

/** What comes, up to the end or to `until`. */
async function read(conn: Deno.Conn, until?: string): Promise<string> {
  const piece = new Uint8Array(65536);
  let text = "";
  while (until === undefined || !text.includes(until)) {
    const n = await conn.read(piece).catch(() => null);
    if (n === null) break;
    text += new TextDecoder().decode(piece.subarray(0, n));
  }
  return text;
}

const echo: Handle = async (request) => {
  const body = await request.text();
  const { method, url } = request;
  return Response.json({ method, path: new URL(url).pathname, body });
};

Deno.test("heads: valid ones are read, ambiguous ones are refused", () => {
  const head = (text: string) => readHead(text.replaceAll("\n", "\r\n"));
  const good = head(
    "POST /a?b=c HTTP/1.1\nHost: x\nContent-Length: 5\nX: \t a b ",
  );
  assertEquals(
    [good.method, good.target, good.length, good.keepAlive],
    ["POST", "/a?b=c", 5, true],
  );
  assertEquals(good.headers.get("x"), "a b");
  assertEquals(head("GET / HTTP/1.0").keepAlive, false);
  assertEquals(
    head("GET / HTTP/1.1\nHost: x\nConnection: Close").keepAlive,
    false,
  );
  assertEquals(head("GET http://x HTTP/1.1\nHost: X").target, "/");
  assertEquals(
    head("POST / HTTP/1.1\nHost: x\nTransfer-Encoding: Chunked").length,
    undefined,
  );
  const bad: [string, number][] = [
    ["GET / HTTP/1.1", 400],
    ["GET  / HTTP/1.1\nHost: x", 400],
    ["GET / HTTP/1.1 \nHost: x", 400],
    ["GET /\x00 HTTP/1.1\nHost: x", 400],
    ["GET x HTTP/1.1\nHost: x", 400],
    ["GET / HTTP/2.0\nHost: x", 400],
    ["GET / HTTP/1.2\nHost: x", 400],
    ["G(T / HTTP/1.1\nHost: x", 400],
    ["GET / HTTP/1.1\nHost: x\nHost: x", 400],
    ["GET / HTTP/1.1\nHost : x", 400],
    ["GET / HTTP/1.1\nHost: x\n folded", 400],
    ["GET / HTTP/1.1\nHost: x\nA: b\x00c", 400],
    ["GET / HTTP/1.1\nHost: x\nA: b\rc", 400],
    ["GET / HTTP/1.1\nHost: x\n: b", 400],
    ["GET / HTTP/1.1\nHost: x\nnothing", 400],
    ["GET http://y/ HTTP/1.1\nHost: x", 400],
    ["POST / HTTP/1.1\nHost: x\nContent-Length: 5\nContent-Length: 5", 400],
    ["POST / HTTP/1.1\nHost: x\nContent-Length: -5", 400],
    ["POST / HTTP/1.1\nHost: x\nContent-Length: 5, 5", 400],
    ["POST / HTTP/1.1\nHost: x\nContent-Length: 0x5", 400],
    [
      "POST / HTTP/1.1\nHost: x\nContent-Length: 5\nTransfer-Encoding: chunked",
      400,
    ],
    ["POST / HTTP/1.1\nHost: x\nTransfer-Encoding: gzip, chunked", 400],
    ["POST / HTTP/1.1\nHost: x\nTransfer-Encoding: xchunked", 400],
    ["POST / HTTP/1.0\nTransfer-Encoding: chunked", 400],
    [`GET / HTTP/1.1\nHost: x${"\nA: b".repeat(100)}`, 431],
  ];
  for (const [text, status] of bad) {
    const error = assertThrows(() => head(text), HeadError);
    assertEquals(error.status, status, JSON.stringify(text));
  }
});

Deno.test("bodies by length and in chunks, one request behind the other, in one piece or byte by byte", async () => {
  await using server = listening(echo, { headMs: 5000 });
  const requests =
    "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" +
    "\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
    "2;note=x\r\nde\r\n1 \r\nf\r\n0\r\nTrailer: x\r\n\r\n" +
    "GET /3 HTTP/1.1\r\nHost: x\r\n\r\n" +
    "POST /4 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  for (const bytewise of [false, true]) {
    using conn = await server.connect();
    if (bytewise) { for (const byte of requests) await send(conn, byte); }
    else await send(conn, requests);
    const text = await read(conn);
    const bodies = [...text.matchAll(/\{.*?\}/g)].map(([json]) =>
      JSON.parse(json)
    );
    assertEquals(
      bodies.map(({ method, path, body }) => `${method} ${path} ${body}`),
      ["POST /1 abc", "POST /2 def", "GET /3 ", "POST /4 "],
    );
    assertEquals(text.match(/connection: close/g)?.length, 1);
  }
});

Deno.test("malformed requests get their status, and the connection ends", async () => {
  await using server = listening(echo);
  const post =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const cases: [string, RegExp][] = [
    ["nonsense\r\n\r\n", /^HTTP\/1.1 400 /],
    ["GET / HTTP/1.1\r\nHost: x\r\n".padEnd(20_000, "a"), /^HTTP\/1.1 431 /],
    [`${post}xyz\r\n`, /^HTTP\/1.1 400 /],
    [`${post}1;${"x".repeat(2000)}`, /^HTTP\/1.1 400 /],
    [`${post}2\r\nabc\r\n`, /^HTTP\/1.1 400 /],
    [`${post}fffffffffffff\r\n`, /^HTTP\/1.1 400 /],
    ["CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1.1 400 /],
  ];
  for (const [text, want] of cases) {
    using conn = await server.connect();
    await send(conn, text);
    const answer = await read(conn);
    assertMatch(answer, want, text.slice(0, 60));
    assertMatch(answer, /\{"error":\{"message":"Cannot read the request: /);
    assertEquals(answer.match(/HTTP\/1.1/g)?.length, 1);
  }
  assertEquals((await (await fetch(server.url)).json()).path, "/");
});

Deno.test("the thousandth request on a connection costs no more than the first", async () => {
  const bytes = encoder.encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const times: number[] = [];
  let answered = () => {};
  let last = performance.now(), left = 4000;
  const wire: Wire = {
    async read(into) {
      if (left-- === 0) return null;
      if (left < 3999) await new Promise<void>((go) => answered = go);
      into.set(bytes);
      return bytes.length;
    },
    write(all) {
      const now = performance.now();
      times.push(now - last);
      last = now;
      answered();
      return Promise.resolve(all.length);
    },
    closeWrite: () => Promise.resolve(),
    close() {},
  };
  const answer = () => Promise.resolve(new Response("ok"));
  await new Connection(wire, LIMITS).serve(answer);
  const median = (part: number[]) => part.sort((x, y) => x - y)[500];
  const first = median(times.slice(0, 1000)), late = median(times.slice(-1000));
  assert(times.length > 3900, `${times.length}`);
  assert(late < 4 * first, `${first} ms, then ${late} ms`);
});

Deno.test("streams come piece by piece, with chunks for HTTP/1.1 and without for 1.0", async () => {
  const next = Promise.withResolvers<void>();
  await using server = listening(() =>
    Promise.resolve(
      new Response(
        new ReadableStream({
          async start(c) {
            c.enqueue(encoder.encode("one "));
            await next.promise;
            c.enqueue(encoder.encode("two"));
            c.close();
          },
        }),
      ),
    )
  );
  using conn = await server.connect();
  await send(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  assertMatch(await read(conn, "one"), /chunked\r\n.*\r\n\r\n4\r\none \r\n$/s);
  using old = await server.connect();
  await send(old, "GET / HTTP/1.0\r\n\r\n");
  await read(old, "one");
  next.resolve();
  assertMatch(await read(conn, "0\r\n\r\n"), /^3\r\ntwo\r\n0\r\n\r\n$/);
  assertEquals(await read(old), "two");
});

Deno.test("who goes is heard of at once: while it is answered, while a stream is sent", async () => {
  const heard = { gone: 0, left: 0 };
  await using server = listening((request) => {
    request.signal.addEventListener("abort", () => heard.gone++);
    if (new URL(request.url).pathname === "/stream") {
      const body = new ReadableStream({
        start: (c) => c.enqueue(encoder.encode("a")),
        cancel: () => void heard.left++,
      });
      return Promise.resolve(new Response(body));
    }
    return new Promise((done) =>
      request.signal.addEventListener("abort", () => done(new Response("")))
    );
  });
  const until = async (good: () => boolean) => {
    for (let i = 0; i < 200 && !good(); i++) {
      await new Promise((go) => setTimeout(go, 5));
    }
    assert(good(), JSON.stringify(heard));
  };
  const plain = await server.connect();
  await send(plain, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise((go) => setTimeout(go, 20));
  plain.close();
  await until(() => heard.gone === 1);
  const stream = await server.connect();
  await send(stream, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  await read(stream, "a");
  stream.close();
  await until(() => heard.gone === 2 && heard.left === 1);
});

Deno.test("missing heads, stalled bodies and stalled readers time out", async () => {
  let failed = 0;
  await using server = listening(async (request) => {
    if (request.method === "GET") {
      return new Response(new Uint8Array(50_000_000));
    }
    try {
      await request.text();
    } catch {
      failed++;
    }
    return new Response("");
  });
  const begun = performance.now();
  using silent = await server.connect(), half = await server.connect();
  await send(half, "GET / HTTP/1.1\r\nHost:");
  assertEquals([await read(silent), await read(half)], ["", ""]);
  assert(performance.now() - begun < 2000);
  using deaf = await server.connect();
  await send(deaf, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise((go) => setTimeout(go, 1000));
  assertEquals(server.counts.open, 0);
  const short = await server.connect();
  await send(
    short,
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
  );
  short.close();
  await new Promise((go) => setTimeout(go, 50));
  assertEquals(failed, 1);
});

Deno.test("connections are limited: the longest idle one is closed; when all are busy, new ones get 503", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = listening(async (request) => {
    if (new URL(request.url).pathname === "/wait") await gate.promise;
    return new Response("ok");
  }, { headMs: 60_000, idleMs: 60_000, connections: 5 });
  const idle = [];
  for (let i = 0; i < 40; i++) idle.push(await server.connect());
  assertEquals(await (await fetch(server.url)).text(), "ok");
  assertEquals(server.counts.open <= 5, true);
  assert(server.counts.evicted >= 35);
  const busy = [];
  for (let i = 0; i < 5; i++) {
    const conn = await server.connect();
    await send(conn, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    busy.push(conn);
  }
  await new Promise((go) => setTimeout(go, 50));
  using late = await server.connect();
  await send(late, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  assertMatch(await read(late), /^HTTP\/1.1 503 .*retry-after: 5\r\n/s);
  gate.resolve();
  for (const conn of busy) assertMatch(await read(conn, "ok"), /200 OK/);
  for (const conn of [...idle, ...busy]) conn.close();
  assertEquals(server.counts.refused, 1);
});

Deno.test("in a flood of idle connections whoever sends a request is answered", async () => {
  await using server = listening(
    () => Promise.resolve(new Response("ok")),
    { headMs: 60_000, connections: 8 },
  );
  const idle: Promise<Deno.Conn>[] = [];
  const answers: Promise<string>[] = [];
  for (let i = 0; i < 60; i++) {
    idle.push(server.connect());
    if (i % 6 !== 0) continue;
    answers.push((async () => {
      using conn = await server.connect();
      await send(
        conn,
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      );
      return await read(conn);
    })());
  }
  for (const answer of await Promise.all(answers)) {
    assertMatch(answer, /^HTTP\/1.1 200 OK/);
  }
  assert(server.counts.evicted > 20);
  for (const conn of await Promise.all(idle)) conn.close();
});

Deno.test("accepting is retried when the system has no descriptor left", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const counts = connectionCounts();
  let failures = 3;
  const failing = {
    accept() {
      if (failures-- > 0) throw new Error("Too many open files (os error 24)");
      return listener.accept();
    },
    close: () => listener.close(),
  };
  const server = front(failing, echo, LIMITS, counts);
  const { port } = listener.addr;
  const answer = await fetch(`http://127.0.0.1:${port}/x`);
  assertEquals((await answer.json()).path, "/x");
  assertEquals(counts.failed, 3);
  await server.finish();
});

Deno.test("an end closes idle connections and finishes what is answered", async () => {
  const gate = Promise.withResolvers<void>();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = front(
    listener,
    async () => {
      await gate.promise;
      return new Response("done");
    },
    LIMITS,
    connectionCounts(),
  );
  const connect = () =>
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  using idle = await connect();
  using busy = await connect();
  await send(busy, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise((go) => setTimeout(go, 30));
  const ended = server.finish();
  assertEquals(await read(idle), "");
  gate.resolve();
  assertMatch(await read(busy), /connection: close\r\n.*done$/s);
  await ended;
});

Deno.test("a client that waits for 100 Continue is told to go on, once its body is wanted", async () => {
  await using server = listening((request) =>
    request.url.endsWith("/no")
      ? Promise.resolve(new Response("no", { status: 413 }))
      : echo(request)
  );
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`;
  using conn = await server.connect();
  await send(conn, head("/yes"));
  assertEquals(await read(conn, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  await send(conn, "hi");
  assertMatch(await read(conn, "}"), /"body":"hi"/);
  using other = await server.connect();
  await send(other, head("/no"));
  assertMatch(await read(other), /^HTTP\/1.1 413 /);
});
