/**
 * Measuring two or more things by turns in one process, so that a phase in which
 * the machine is slow meets all of them.
 * @module
 */

/** One thing that is measured. */
export interface Contestant {
  readonly name: string;
  /** Does it once. */
  run(): unknown;
  /** Called before and behind its turn, outside the measurement. */
  awake?(yes: boolean): void;
}

/** Rates of one contestant over all rounds, in units a second. */
export interface Rates {
  readonly name: string;
  readonly median: number;
  readonly best: number;
  /** How many rates they are of. */
  readonly rounds: number;
}

/** Shortest turn: short runs are repeated until this is over. */
const TURN_MS = 20;

async function turn(c: Contestant, work: number): Promise<number> {
  c.awake?.(true);
  const begin = performance.now();
  let times = 0, ms = 0;
  do {
    const pending = c.run();
    if (pending instanceof Promise) await pending;
    times++;
    ms = performance.now() - begin;
  } while (ms < TURN_MS);
  c.awake?.(false);
  return work * times / ms * 1000;
}

/** Rates of all, `work` units per run; the first round warms up. */
export async function interleave(
  contestants: readonly Contestant[],
  work: number,
  rounds: number,
): Promise<Rates[]> {
  const all = contestants.map((): number[] => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [i, c] of contestants.entries()) {
      const rate = await turn(c, work);
      if (round > 0) all[i].push(rate);
    }
  }
  return contestants.map(({ name }, i) => {
    const sorted = all[i].sort((a, b) => a - b);
    return {
      name,
      median: sorted[sorted.length >> 1],
      best: sorted[sorted.length - 1],
      rounds: sorted.length,
    };
  });
}
