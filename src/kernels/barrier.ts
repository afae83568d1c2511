/**
 * Where threads meet between two steps of a plan.
 * @module
 */
import { type Contract, contract } from "./contract.ts";

/**
 * Returns once all `threads` threads have called it with the same `ptr`.
 * Spins first, then sleeps; wakes others only if someone sleeps. In unshared
 * builds there is one thread and nothing to wait for.
 * @param ptr BARRIER_BYTES, zeroed once: generation, arrivals, sleepers (int32 each)
 * @param spinLimit polls before sleeping
 */
export type Barrier = (ptr: number, threads: number, spinLimit: number) => void;

/** Bytes of one barrier: the three words on a cache line of their own. */
export const BARRIER_BYTES = 64;

/** The barrier; the reference stands for a single thread, which never waits. */
export const barrier: Contract<Barrier> = contract({
  meaning: "returns once all threads arrived",
  reference: () => () => {},
  cases: [],
});
