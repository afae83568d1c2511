/**
 * A TCP listener that outlives whatever clients do to it: connections are
 * capped, the longest idle one makes room for a new one, and a system that has
 * no descriptor left is asked again.
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
  /** Connections at a time. */
  readonly connections: number;
}

/** What is counted of connections. */
export interface ConnectionCounts {
  /** Open now. */
  open: number;
  /** Taken since the beginning. */
  accepted: number;
  /** Idle ones that were closed to make room. */
  evicted: number;
  /** Refused, since all were busy. */
  refused: number;
  /** Times that the system would not give one. */
  failed: number;
}

/** A listener at work. */
export interface Front {
  /** Takes no more connections, closes idle ones; resolves when the last has ended. */
  finish(): Promise<void>;
  /** Closes all connections at once. */
  cut(): void;
}

/** Counts at zero. */
export function connectionCounts(): ConnectionCounts {
  return { open: 0, accepted: 0, evicted: 0, refused: 0, failed: 0 };
}

/** Connections that are told at a time that there is no room; others are just closed. */
const MOST_REFUSALS = 16;

/** Time that a connection has to send its head before others may take its place; meanwhile they wait in the system's queue. */
const GRACE_MS = 50;

/** How long a system without descriptors is left alone. */
const PAUSE_MS = 100;

/** What connections come from. */
export interface Accepting {
  accept(): Promise<Wire>;
  close(): void;
}

/** Answers whoever connects. */
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

/** Those that wait for a head, the longest first. */
function idleOf(open: Iterable<Connection>): Connection[] {
  const since = (connection: Connection) => connection.idleSince ?? Infinity;
  return [...open].filter((c) => c.idleSince !== undefined)
    .sort((a, b) => since(a) - since(b));
}

/** The open connections, of which there are only so many. */
function crowd(limits: FrontLimits, counts: ConnectionCounts) {
  const open = new Set<Connection>();
  let heardBefore = -Infinity;

  /**
   * Whether there is room for one more. An idle connection makes room once the
   * event loop has turned since it came, so that what it sent was read.
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
