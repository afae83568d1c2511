/**
 * Differences between Deno and browsers, detected at run time. The same modules
 * run in both, bundled or not. No other module of the runtime depends on the
 * platform.
 * @module
 */

/** Whether this is Deno; otherwise a browser. */
export const inDeno: boolean = "Deno" in globalThis;

/** Bytes of a file of this package. Needs `--allow-read` for it in Deno. */
export async function readBytes(
  url: string,
): Promise<Uint8Array<ArrayBuffer>> {
  if (inDeno) return await Deno.readFile(new URL(url));
  const answer = await fetch(url);
  if (answer.ok) return new Uint8Array(await answer.arrayBuffer());
  throw new Error(
    `Cannot load ${url}: the server answered ${answer.status}; put it beside the program`,
  );
}

/**
 * Whether workers with shared memory can be started. A browser needs a cross-origin
 * isolated page and lets only workers wait; Deno needs permission to read the module.
 */
export function canShare(module: URL): boolean {
  if (
    typeof SharedArrayBuffer === "undefined" || typeof Worker === "undefined"
  ) return false;
  if ("document" in globalThis) return false;
  if (!inDeno || module.protocol !== "file:") return true;
  return Deno.permissions.querySync({ name: "read", path: module }).state ===
    "granted";
}

/** Runs `next` in the next turn of the event loop, without the 1 to 4 ms of a timer. */
export const soon: (next: () => void) => void =
  (globalThis as { setImmediate?: (next: () => void) => void }).setImmediate ??
    byMessage();

function byMessage(): (next: () => void) => void {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()!();
  return (next) => {
    waiting.push(next);
    port2.postMessage(null);
  };
}

/**
 * SHA-256 of the concatenated `parts`, as hex. Deno hashes them one by one; a browser
 * needs all in memory at once.
 */
export async function sha256(parts: Iterable<Uint8Array>): Promise<string> {
  const { process } = globalThis as { process?: BuiltIns };
  const hash = process?.getBuiltinModule?.("node:crypto").createHash("sha256");
  if (hash) {
    for (const part of parts) hash.update(part);
    return hash.digest("hex");
  }
  if (!crypto.subtle) {
    throw new Error(
      "Cannot verify the model: a browser computes SHA-256 only on pages served over https or from localhost; open the model with verify: false",
    );
  }
  const whole = await new Blob([...copies(parts)]).arrayBuffer();
  const digest = await crypto.subtle.digest("SHA-256", whole);
  return new Uint8Array(digest).toHex();
}

/** A Node module without an import, which a browser could not resolve. */
interface BuiltIns {
  getBuiltinModule?(name: "node:crypto"): {
    createHash(name: string): {
      update(bytes: Uint8Array): void;
      digest(form: "hex"): string;
    };
  };
}

/** The parts may lie in one buffer that is filled again and again. */
function* copies(parts: Iterable<Uint8Array>) {
  for (const part of parts) yield part.slice();
}
