/**
 * The little that Deno and a browser do differently: the only place where what
 * runs a model asks in which of them it is. Detected, not swapped by a build:
 * the same modules run in both, bundled or not.
 * @module
 */

/** Whether this is Deno; otherwise a browser, or something like one. */
export const inDeno: boolean = "Deno" in globalThis;

/** Bytes of what belongs to the program, beside its modules. Needs `--allow-read` of it in Deno. */
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
 * Whether workers can be started that share memory with us. A browser has such
 * memory only where the page is isolated from other origins, and lets only its
 * workers wait for each other; Deno must be allowed to read the module.
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

/** Runs `next` as soon as the event loop has turned: no timer, whose shortest wait is 1 to 4 ms. */
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
 * SHA-256 of `parts` in a row, as hex. Deno's takes them one by one, a browser's
 * all at once, so that it needs as much memory as they have bytes.
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

/** Node's modules without an import, which a browser could not follow. */
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
