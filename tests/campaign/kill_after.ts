/**
 * Kills a process `ms` milliseconds after `before`; a process that has ended is
 * ignored. For `clearTimeout` after its end.
 * @module
 */
export function killAfter(
  child: Deno.ChildProcess,
  ms: number,
  before: () => void = () => {},
): ReturnType<typeof setTimeout> {
  return setTimeout(() => {
    before();
    try {
      child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }, ms);
}
