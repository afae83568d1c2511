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
  /** Keeps room for bytes until it leaves; false where there is none. */
  hold(bytes: number): boolean;
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

/** A house for `most` requests, whose bodies have `mostBytes` together. */
export function admission(most: number, mostBytes: number): Admission {
  const inside = new Set<Visit>();
  let held = 0;
  return {
    enter() {
      if (inside.size >= most) return undefined;
      let own = 0;
      const visit: Visit = {
        stage: "reading",
        hold(bytes) {
          if (held + bytes > mostBytes || !inside.has(visit)) return false;
          own += bytes;
          held += bytes;
          return true;
        },
        leave() {
          if (inside.delete(visit)) held -= own;
        },
      };
      inside.add(visit);
      return visit;
    },
    get held() {
      return held;
    },
    empty: () => inside.size === 0,
    count: (stage) => [...inside].filter((v) => v.stage === stage).length,
  };
}
