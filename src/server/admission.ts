/**
 * Admission control: one request is answered, a bounded number waits. If all
 * slots are taken, a request is refused with `Retry-After`, so memory and
 * waiting time are bounded. Requests are answered in the order of arrival.
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
  /**
   * Reserves bytes until the request leaves; returns false if they are not
   * free.
   */
  hold(bytes: number): boolean;
  /** Aborted when another request takes its slot because its body is slow. */
  readonly evicted: AbortSignal;
  /** Frees its slot; repeated calls do nothing. */
  leave(): void;
}

/** Admission control. */
export interface Admission {
  /** Admits a request; undefined if all slots are taken. */
  enter(): Ticket | undefined;
  /** Whether no request is admitted. */
  empty(): boolean;
  /** Number of requests at a stage. */
  count(stage: Stage): number;
  /** Reserved bytes. */
  readonly held: number;
}

/** Limits of the requests that are in the server at a time. */
export interface AdmissionLimits {
  /** Requests. */
  readonly requests: number;
  /** Bytes of their bodies together. */
  readonly bytes: number;
  /**
   * Milliseconds after which a request whose body is still arriving may lose
   * its slot to another one.
   */
  readonly slowMs: number;
}

/** Admission control without requests. */
export function admissionControl(
  { requests, bytes: most, slowMs }: AdmissionLimits,
): Admission {
  const inside = new Map<Ticket, () => void>(); // and how each is evicted
  let held = 0;

  /** Evicts the request whose body has been arriving longest. */
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
