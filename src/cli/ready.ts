/**
 * Reports the state of the server: to systemd through its socket
 * (sd_notify(3)), to others through a file that exists while the server is
 * ready.
 * @module
 */

/** Receives the state of a server. */
export interface Readiness {
  /** The server answers requests. */
  ready(): Promise<void>;
  /** The server accepts no more requests. */
  stopping(): Promise<void>;
  [Symbol.dispose](): void;
}

/** Environment variables that systemd sets. */
const SOCKET = "NOTIFY_SOCKET", FOLDER = "RUNTIME_DIRECTORY";
const WATCHDOG = "WATCHDOG_USEC";

/**
 * Notifies systemd, and keeps `file` while the server is ready.
 * @param say called with what could not be done
 */
export function readiness(
  file: string | undefined,
  say: (text: string) => void,
): Readiness {
  const socket = env(SOCKET), folder = env(FOLDER);
  let timer: ReturnType<typeof setInterval> | undefined, there = false;
  const notify = async (state: string) => {
    if (socket === undefined) return;
    try {
      await send(socket, `${folder ?? "/run/mquant"}/notify.sock`, state);
    } catch (error) {
      say(`Cannot tell systemd ${state}: ${whyOf(error)}`);
      clearInterval(timer);
    }
  };
  return {
    async ready() {
      if (file !== undefined) {
        try {
          await writeAnew(file, `${Deno.pid}\n`);
          there = true;
        } catch (error) {
          say(`Cannot write the ready file: ${whyOf(error)}`);
        }
      }
      await notify("READY=1");
      const every = Number(env(WATCHDOG)) / 2000;
      if (every > 0) {
        timer = setInterval(() => notify("WATCHDOG=1"), every);
        Deno.unrefTimer(timer);
      }
    },
    async stopping() {
      clearInterval(timer);
      await notify("STOPPING=1");
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      if (there) {
        try {
          Deno.removeSync(file!);
        } catch { /* somebody else did */ }
      }
    },
  };
}

/** An environment variable; undefined if it may not be read. */
function env(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/**
 * Writes a new file; never through a link and never into an existing foreign
 * file.
 */
async function writeAnew(path: string, text: string): Promise<void> {
  const before = await Deno.lstat(path).catch(() => undefined);
  if (before && !before.isFile) {
    throw new Error("it exists and is not a regular file");
  }
  if (before) await Deno.remove(path);
  await Deno.writeTextFile(path, text, { createNew: true, mode: 0o644 });
}

/** Unix datagram sockets, which Deno has under --unstable-net. */
interface Datagrams {
  listenDatagram?(options: { transport: "unixpacket"; path: string }): {
    send(
      bytes: Uint8Array,
      to: { transport: "unixpacket"; path: string },
    ): Promise<number>;
    close(): void;
  };
}

async function send(to: string, own: string, state: string): Promise<void> {
  const { listenDatagram } = Deno as unknown as Datagrams;
  if (!listenDatagram) throw new Error("run it with --unstable-net");
  const transport = "unixpacket";
  await Deno.remove(own).catch(() => {});
  const socket = listenDatagram({ transport, path: own });
  try {
    const path = to.replace(/^@/, "\0");
    await socket.send(new TextEncoder().encode(state), { transport, path });
  } finally {
    socket.close();
    await Deno.remove(own).catch(() => {});
  }
}

function whyOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0].slice(0, 200);
}
