/**
 * Admission control: one request is answered, a bounded number waits. When all
 * places are taken, a request is refused with the time to try again, so memory and
 * waiting time are bounded. The session serves first come, first served.
 * @module
 */

/** Stage of a request. */
export type Stage = "reading" | "waiting" | "running";

/** An admitted request. */
export interface Ticket {
  /** Its stage. */
  stage: Stage;
  /** When it was admitted, performance.now(). */
  readonly since: number;
  /** Reserves bytes until it leaves; false where they are not free. */
  hold(bytes: number): boolean;
  /** Aborted when its place is given to another request because its body is slow. */
  readonly evicted: AbortSignal;
  /** Frees its place; repeated calls do nothing. */
  leave(): void;
}

/** Admission control. */
export interface Admission {
  /** Admits a request; undefined where all places are taken. */
  enter(): Ticket | undefined;
  /** Whether no request is admitted. */
  empty(): boolean;
  /** Number of requests at a stage. */
  count(stage: Stage): number;
  /** Reserved bytes. */
  readonly held: number;
}

/** Limits. */
export interface Room {
  /** Requests. */
  readonly requests: number;
  /** Bytes of their bodies together. */
  readonly bytes: number;
  /** Milliseconds after which a body that is still on its way may lose its place, where there is no other. */
  readonly slowMs: number;
}

/** Admission control without requests. */
export function admissionControl(
  { requests, bytes: most, slowMs }: Room,
): Admission {
  const inside = new Map<Ticket, () => void>(); // and how each is evicted
  let held = 0;

  /** Evicts the request whose body has been on its way longest. */
  function evict(other?: Ticket): boolean {
    for (const [ticket, end] of inside) { // in order of arrival
      if (ticket === other || ticket.stage !== "reading") continue;
      if (performance.now() - ticket.since < slowMs) return false;
      end();
      ticket.leave();
      return true;
    }
    return false;
  }

  return {
    enter() {
      if (inside.size >= requests && !evict()) return undefined;
      let own = 0;
      const eviction = new AbortController();
      const ticket: Ticket = {
        stage: "reading",
        since: performance.now(),
        evicted: eviction.signal,
        hold(bytes) {
          while (held + bytes > most && evict(ticket));
          if (held + bytes > most || !inside.has(ticket)) return false;
          own += bytes;
          held += bytes;
          return true;
        },
        leave() {
          if (inside.delete(ticket)) held -= own;
        },
      };
      inside.set(ticket, () => eviction.abort());
      return ticket;
    },
    get held() {
      return held;
    },
    empty: () => inside.size === 0,
    count: (stage) =>
      [...inside.keys()].filter((v) => v.stage === stage).length,
  };
}
