/**
 * Fault injection: the N-th call to the file system fails, or does only part of its
 * work. Deno's functions are replaced, so the tested code is unchanged.
 * @module
 */

/** How a call fails. */
export type Fault =
  /** The disk is full, or the device broken. */
  | "error"
  /** The system denies it. */
  | "denied"
  /** Only one byte is read or written; no failure at all for who goes on. */
  | "short"
  /** A file ends earlier than it did: somebody cut it. */
  | "end";

const CALLS = [
  ...["openSync", "open", "readFile", "readFileSync", "readTextFile"],
  ...["readTextFileSync", "renameSync", "rename", "removeSync", "remove"],
  ...["statSync", "stat", "lstatSync", "lstat", "readDirSync", "mkdirSync"],
  ...["writeFileSync", "writeTextFileSync", "makeTempFileSync", "realPathSync"],
] as const;
const FILE_CALLS = [
  ...["readSync", "writeSync", "seekSync", "syncSync", "syncDataSync"],
  ...["statSync", "truncateSync", "lockSync", "tryLockSync"],
] as const;

// deno-lint-ignore no-explicit-any
type Functions = Record<string, (...args: any[]) => any>;

/** A call to the file system. */
export interface Call {
  /** Its function. */
  readonly name: string;
  /** The ways in which it can fail. */
  readonly faults: readonly Fault[];
}

/** What happened to the calls of a run. */
export interface Injected {
  /** All of them, in order. */
  readonly calls: readonly Call[];
  /** Name of the call that failed; undefined where the run had fewer, or where the fault does not fit it. */
  readonly failed: string | undefined;
}

function faultsOf(name: string, bytes: unknown): Fault[] {
  const moves = /^(read|write)Sync$/.test(name) && bytes instanceof Uint8Array;
  const faults: Fault[] = ["error", "denied"];
  if (moves && bytes.length > 1) faults.push("short");
  if (moves && name === "readSync") faults.push("end");
  return faults;
}

/** Runs `work` while its call number `at` (from 1) fails by `fault`; 0: none does. */
export async function withFault(
  at: number,
  fault: Fault,
  work: () => Promise<void>,
): Promise<Injected> {
  const calls: Call[] = [];
  let failed: string | undefined;
  const restore: (() => void)[] = [];
  const stand = (object: Functions, name: string) => {
    const real = object[name];
    object[name] = function (this: unknown, ...args: unknown[]) {
      const faults = faultsOf(name, args[0]);
      calls.push({ name, faults });
      if (calls.length !== at || !faults.includes(fault)) {
        return real.apply(this, args);
      }
      failed = name;
      if (fault === "end") return null;
      if (fault !== "short") throw errorOf(fault, name);
      return real.call(this, (args[0] as Uint8Array).subarray(0, 1));
    };
    restore.push(() => object[name] = real);
  };
  for (const name of CALLS) stand(Deno as unknown as Functions, name);
  for (const name of FILE_CALLS) {
    stand(Deno.FsFile.prototype as unknown as Functions, name);
  }
  try {
    await work();
  } finally {
    for (const undo of restore) undo();
  }
  return { calls, failed };
}

/** The error Deno throws there. */
function errorOf(fault: "error" | "denied", name: string): Error {
  if (fault === "denied") {
    return new Deno.errors.PermissionDenied("Permission denied (os error 13)");
  }
  const full = /write|truncate|sync|mkdir|temp/i.test(name);
  return Object.assign(
    new Error(
      full
        ? "No space left on device (os error 28)"
        : "Input/output error (os error 5)",
    ),
    { code: full ? "ENOSPC" : "EIO" },
  );
}
