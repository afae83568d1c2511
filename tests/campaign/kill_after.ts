/**
 * Kills a process in `ms`, after `before`; one that ended by itself in the same
 * moment is let be. For `clearTimeout`, once it has ended.
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
