/**
 * A TCP listener that no client can stop: the number of connections is limited,
 * the longest idle one is closed for a new one, and accepting is retried when
 * the system has no file descriptor left.
 * @module
 */
import {
  Connection,
  type Handle,
  type HttpTimes,
  type Wire,
} from "./connection.ts";
import { HeadError } from "./head.ts";

/** Limits of a listener. */
export interface FrontLimits extends HttpTimes {
  /** Maximum number of open connections. */
  readonly connections: number;
}

/** Counters of connections. */
export interface ConnectionCounts {
  /** Open now. */
  open: number;
  /** Accepted since the start. */
  accepted: number;
  /** Idle ones closed for a new one. */
  evicted: number;
  /** Refused because all were busy. */
  refused: number;
  /** Failed calls of accept. */
  failed: number;
}

/** A running listener. */
export interface Front {
  /**
   * Accepts no more connections, closes idle ones, and resolves when the last
   * one has ended.
   */
  finish(): Promise<void>;
  /** Closes all connections immediately. */
  cut(): void;
}

/** Counters, all zero. */
export function connectionCounts(): ConnectionCounts {
  return { open: 0, accepted: 0, evicted: 0, refused: 0, failed: 0 };
}

/** Connections that get a 503 at the same time; further ones are closed without. */
const MOST_REFUSALS = 16;

/**
 * Time in which a new connection can send its head before it counts as idle, in
 * milliseconds; new connections wait in the system's queue meanwhile.
 */
const GRACE_MS = 50;

/** Pause after a failed accept, in milliseconds. */
const PAUSE_MS = 100;

/** The part of `Deno.Listener` that is used. */
export interface Accepting {
  accept(): Promise<Wire>;
  close(): void;
}

/** Serves every connection of `listener`. */
export function front(
  listener: Accepting,
  handle: Handle,
  limits: FrontLimits,
  counts: ConnectionCounts,
): Front {
  const { open, evict, makeRoom } = crowd(limits, counts);
  const running = new Set<Promise<void>>();
  let ending = false;

  function take(wire: Wire, room: boolean) {
    counts.accepted++;
    const connection = new Connection(wire, limits);
    if (!room) {
      counts.refused++;
      if (running.size >= open.size + MOST_REFUSALS) return connection.close();
    } else open.add(connection);
    counts.open = open.size;
    const work = room
      ? connection.serve(handle)
      : connection.refuse(new HeadError(503, "too many connections are busy"));
    const ended = work.finally(() => {
      open.delete(connection);
      running.delete(ended);
      counts.open = open.size;
    });
    running.add(ended);
  }

  const accepting = (async () => {
    while (!ending) {
      try {
        const wire = await listener.accept(), room = await makeRoom();
        if (ending) wire.close();
        else take(wire, room);
      } catch {
        if (ending) break;
        counts.failed++;
        // Without a descriptor nothing else can be opened either: idle
        // connections give back theirs.
        const idle = idleOf(open);
        idle.slice(0, Math.ceil(idle.length / 4)).forEach(evict);
        await new Promise((go) => setTimeout(go, PAUSE_MS));
      }
    }
  })();

  return {
    async finish() {
      ending = true;
      listener.close();
      for (const connection of open) connection.finish();
      await accepting;
      await Promise.all(running);
    },
    cut() {
      for (const connection of open) connection.close();
    },
  };
}

/** Idle connections, longest idle first. */
function idleOf(open: Iterable<Connection>): Connection[] {
  const since = (connection: Connection) => connection.idleSince ?? Infinity;
  return [...open].filter((c) => c.idleSince !== undefined)
    .sort((a, b) => since(a) - since(b));
}

/** The set of open connections, of limited size. */
function crowd(limits: FrontLimits, counts: ConnectionCounts) {
  const open = new Set<Connection>();
  let heardBefore = -Infinity;

  /**
   * Makes room for one more connection; false if all are busy. An idle
   * connection is closed only after one turn of the event loop, so that data
   * which it has sent are read first.
   */
  async function makeRoom(): Promise<boolean> {
    while (open.size >= limits.connections) {
      const [oldest] = idleOf(open);
      if (!oldest) return false;
      if (oldest.idleSince! <= heardBefore) {
        evict(oldest);
        continue;
      }
      const now = performance.now();
      for (let turn = 0; turn < 2; turn++) {
        await new Promise((go) => setTimeout(go, GRACE_MS / 2));
      }
      heardBefore = now;
    }
    return true;
  }

  function evict(connection: Connection) {
    counts.evicted++;
    connection.close();
    open.delete(connection);
    counts.open = open.size;
  }

  return { open, evict, makeRoom };
}
