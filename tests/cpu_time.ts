/**
 * Processor time of this process, in milliseconds: other work on the machine
 * moves it far less than a clock.
 * @module
 */
import process from "node:process";

/** Milliseconds since the process began, of all its threads. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
