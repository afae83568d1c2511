/**
 * Who is in the house: the request that is answered, and a bounded number
 * behind it. Whoever comes when it is full is told to come back, so neither
 * memory nor waiting grows without end. The order is the session's: first come,
 * first served.
 * @module
 */

/** Where a request is. */
export type Stage = "reading" | "waiting" | "running";

/** A request that was let in. */
export interface Visit {
  /** Where it is. */
  stage: Stage;
  /** When it came. */
  readonly since: number;
  /** Keeps room for bytes until it leaves; false where there is none. */
  hold(bytes: number): boolean;
  /** Aborted where its place is given to another, since its body is slow. */
  readonly evicted: AbortSignal;
  /** Makes room for another; more than once does no harm. */
  leave(): void;
}

/** The door. */
export interface Admission {
  /** Lets a request in; undefined where the house is full. */
  enter(): Visit | undefined;
  /** Whether nobody is inside. */
  empty(): boolean;
  /** How many are at a stage. */
  count(stage: Stage): number;
  /** Bytes that are kept. */
  readonly held: number;
}

/** What a house has room for. */
export interface Room {
  /** Requests. */
  readonly requests: number;
  /** Bytes of their bodies together. */
  readonly bytes: number;
  /** Milliseconds after which a body that is still on its way may lose its place, where there is no other. */
  readonly slowMs: number;
}

/** An empty house. */
export function admission({ requests, bytes: most, slowMs }: Room): Admission {
  const inside = new Map<Visit, () => void>(); // and how each is evicted
  let held = 0;

  /** Gives away the place of the body that is longest on its way. */
  function evict(other?: Visit): boolean {
    for (const [visit, end] of inside) { // in order of arrival
      if (visit === other || visit.stage !== "reading") continue;
      if (performance.now() - visit.since < slowMs) return false;
      end();
      visit.leave();
      return true;
    }
    return false;
  }

  return {
    enter() {
      if (inside.size >= requests && !evict()) return undefined;
      let own = 0;
      const eviction = new AbortController();
      const visit: Visit = {
        stage: "reading",
        since: performance.now(),
        evicted: eviction.signal,
        hold(bytes) {
          while (held + bytes > most && evict(visit));
          if (held + bytes > most || !inside.has(visit)) return false;
          own += bytes;
          held += bytes;
          return true;
        },
        leave() {
          if (inside.delete(visit)) held -= own;
        },
      };
      inside.set(visit, () => eviction.abort());
      return visit;
    },
    get held() {
      return held;
    },
    empty: () => inside.size === 0,
    count: (stage) =>
      [...inside.keys()].filter((v) => v.stage === stage).length,
  };
}
