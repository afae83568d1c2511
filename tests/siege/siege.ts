/**
 * Runs attacks against a server that normal clients use: every valid request gets its
 * usual answer, and /health is answered at once.
 * @module
 */
import { type Attack, ATTACKS } from "./attacks.ts";

/** What came of a siege. */
export interface Siege {
  /** Attacks made, by name. */
  readonly attacks: Record<string, number>;
  /** Statuses that attackers got. */
  readonly statuses: Record<string, number>;
  /** Answers that normal clients got; times that they were told to come back. */
  answers: number;
  later: number;
  /** Milliseconds of every GET /health, on connections of their own. */
  readonly health: number[];
  readonly findings: string[];
}

/** How a siege is laid. */
export interface SiegeOptions {
  readonly port: number;
  /** Ends after this time, or later where an attack has not run yet. */
  readonly ms: number;
  /** A request that normal clients make, over and over. */
  readonly body: string;
  /** Normal clients. */
  readonly clients: number;
  /** Told now and then. */
  readonly tick?: (siege: Siege) => void;
}

/** Lays siege to a server. */
export async function siege(
  { port, ms, body, clients, tick }: SiegeOptions,
): Promise<Siege> {
  const end = Date.now() + ms,
    all: [string, Attack][] = Object.entries(ATTACKS);
  let made = 0;
  const lasts = () => Date.now() < end || made < all.length;
  const out: Siege = {
    attacks: {},
    statuses: {},
    answers: 0,
    later: 0,
    health: [],
    findings: [],
  };
  const find = (what: string) =>
    void (out.findings.length < 50 && out.findings.push(what));
  const want = await answer(port, body);
  if (want.text === undefined) find(`before: ${want.status}`);

  async function attackers() {
    for (; lasts(); made++) {
      const [name, attack] = all[made % all.length];
      for (const status of await attack(port)) {
        out.statuses[status] = (out.statuses[status] ?? 0) + 1;
        if (status === 500) find(`${name}: 500`);
      }
      out.attacks[name] = (out.attacks[name] ?? 0) + 1;
      tick?.(out);
    }
  }

  async function client() {
    while (lasts()) {
      try {
        const { status, text, later } = await answer(port, body);
        if (status === 503) {
          out.later++;
          await new Promise((go) =>
            setTimeout(go, Math.min(500, 1000 * later))
          );
        } else if (text === want.text) out.answers++;
        else find(`a normal client got ${status} ${text}`);
      } catch (error) {
        find(`a normal client was cut off: ${String(error)}`);
      }
      await new Promise((go) => setTimeout(go, 50));
    }
  }

  async function health() {
    while (lasts()) {
      const begun = performance.now();
      try {
        await getHealth(port);
        out.health.push(performance.now() - begun);
      } catch (error) {
        find(`/health: ${String(error)}`);
      }
      await new Promise((go) => setTimeout(go, 50));
    }
  }

  await Promise.all([
    attackers(),
    health(),
    ...Array.from({ length: clients }, client),
  ]);
  const after = await answer(port, body);
  if (after.text !== want.text) find(`afterwards: ${after.status}`);
  return out;
}

async function answer(port: number, body: string) {
  const response = await fetch(
    `http://127.0.0.1:${port}/v1/chat/completions`,
    {
      method: "POST",
      // A connection of its own: an idle one may be closed to make room.
      headers: { "content-type": "application/json", "connection": "close" },
      body,
    },
  );
  const json = await response.json();
  return {
    status: response.status,
    text: json.choices?.[0].message.content as string | undefined,
    later: Number(response.headers.get("retry-after") ?? 1),
  };
}

/** GET /health on a new connection, without a client's own machinery. */
async function getHealth(port: number): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay();
  await connection.write(
    new TextEncoder().encode(
      "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ),
  );
  const n = await connection.read(new Uint8Array(1000));
  if (n === null) throw new Error("closed without an answer");
}
