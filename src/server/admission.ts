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
}

/** A house for `most` requests. */
export function admission(most: number): Admission {
  const inside = new Set<Visit>();
  return {
    enter() {
      if (inside.size >= most) return undefined;
      const visit: Visit = {
        stage: "reading",
        leave: () => void inside.delete(visit),
      };
      inside.add(visit);
      return visit;
    },
    empty: () => inside.size === 0,
    count: (stage) => [...inside].filter((v) => v.stage === stage).length,
  };
}
