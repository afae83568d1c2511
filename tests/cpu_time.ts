/**
 * Processor time of tests. Other load does not lengthen it, as it does wall time;
 * that of the thread is independent of other test files, too, which
 * `deno test --parallel` runs in threads of the same process.
 * @module
 */
import process from "node:process";

const milliseconds = ({ user, system }: NodeJS.CpuUsage) =>
  (user + system) / 1000;

/** Milliseconds since the process began, of all its threads. */
export const cpuMs = (): number => milliseconds(process.cpuUsage());

/** Milliseconds since the calling thread began. */
export const threadMs = (): number => milliseconds(process.threadCpuUsage());
