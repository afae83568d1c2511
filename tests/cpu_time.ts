/**
 * Processor time of this process in milliseconds; less sensitive to other load than
 * wall time.
 * @module
 */
import process from "node:process";

/** Milliseconds since the process began, of all its threads. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
