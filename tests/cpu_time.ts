/**
 * Time of a test that does not depend on other load: processor time, which a busy
 * machine does not lengthen, or wall time, which another test file in a thread of
 * this process (`deno test --parallel`) does not lengthen; the smaller of both.
 * @module
 */
import process from "node:process";

/** Milliseconds since the process began, of all its threads. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Starts a stopwatch; each call returns the milliseconds since then. */
export function stopwatch(): () => number {
  const cpu = cpuMs(), wall = performance.now();
  return () => Math.min(cpuMs() - cpu, performance.now() - wall);
}
