/**
 * Runs examples/deploy as Deno Deploy would, without flags, and measures it:
 *
 *     deno run -A tools/deploy.ts [DENO...]
 *
 * prints, for each Deno given, the cold start, CPU time and memory of a caption
 * and how long a SIGINT takes. Where it can create a memory cgroup (root, Linux),
 * it runs under Deploy's smallest limit of 512 MiB.
 * @module
 */
import { fromFileUrl } from "@std/path";

const root = new URL("../", import.meta.url);
const CGROUP = "/sys/fs/cgroup/memory/mquant-deploy";

/** The function, running. */
export interface Running extends AsyncDisposable {
  /** Where it listens, on this machine only. */
  readonly url: string;
  /** When it was started, as `performance.now()` says. */
  readonly begun: number;
  /** Seconds of CPU used so far. */
  cpu(): number;
  /** Most memory it has had, in MiB. */
  peak(): number;
  /** Sends SIGINT; resolves to its exit code and the time until then. */
  interrupt(): Promise<{ code: number; ms: number }>;
}

/** Starts the function with `deno`. */
export async function start(deno: string, capped = false): Promise<Running> {
  const begun = performance.now();
  const command = [deno, "run", "--allow-all", "examples/deploy/main.ts"];
  const child = new Deno.Command("sh", {
    args: [
      "-c",
      capped ? `echo $$ > ${CGROUP}/cgroup.procs && exec "$@"` : 'exec "$@"',
      "sh",
      ...command,
    ],
    cwd: fromFileUrl(root),
    env: { DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0", NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const ended = child.status;
  const url = await listening(child.stderr);
  // Deno reads /proc for nobody but --allow-all.
  const proc = (file: string) =>
    new TextDecoder().decode(
      new Deno.Command("cat", { args: [`/proc/${child.pid}/${file}`] })
        .outputSync().stdout,
    );
  return {
    url,
    begun,
    cpu() {
      const fields = proc("stat").replace(/^.*\) /s, "").split(" ");
      return (Number(fields[11]) + Number(fields[12])) / 100; // USER_HZ
    },
    peak: () => Number(/VmHWM:\s*(\d+)/.exec(proc("status"))![1]) / 1024,
    async interrupt() {
      const asked = performance.now();
      child.kill("SIGINT");
      const { code } = await ended;
      return { code, ms: performance.now() - asked };
    },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await ended;
    },
  };
}

/** Address that Deno says it listens on; the rest of what it says is thrown away. */
async function listening(
  stderr: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string> {
  const reader = stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "", at: RegExpExecArray | null = null;
  while (!(at = /http:\/\/127\.0\.0\.1:\d+\//.exec(said))) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`Cannot run examples/deploy: ${said}`);
    said += value;
  }
  (async () => {
    while (!(await reader.read()).done);
  })();
  return at[0];
}

/** Posts a photo. */
export async function post(
  url: string,
  photo: Uint8Array<ArrayBuffer>,
): Promise<{ status: number; caption?: string; error?: string }> {
  const answer = await fetch(url, { method: "POST", body: photo });
  return { status: answer.status, ...await answer.json() };
}

function cap(mib: number): boolean {
  try {
    Deno.mkdirSync(CGROUP, { recursive: true });
    Deno.writeTextFileSync(
      `${CGROUP}/memory.limit_in_bytes`,
      `${mib * 2 ** 20}`,
    );
    return true;
  } catch {
    return false;
  }
}

async function measure(deno: string): Promise<string> {
  const photo = await Deno.readFile(
    new URL("models/photo-mini/photos/astronaut.jpg", root),
  );
  const capped = cap(512), rounds = 20;
  await using running = await start(deno, capped);
  await post(running.url, photo);
  const cold = performance.now() - running.begun, before = running.cpu();
  const begun = performance.now();
  for (let i = 0; i < rounds; i++) await post(running.url, photo);
  const ms = (performance.now() - begun) / rounds;
  const cpu = (running.cpu() - before) / rounds, peak = running.peak();
  const last = post(running.url, photo);
  await new Promise((done) => setTimeout(done, 50));
  const { code, ms: drain } = await running.interrupt();
  const { status } = await last;
  return `first answer after ${(cold / 1000).toFixed(2)} s, ${
    before.toFixed(2)
  } s of CPU; then ${ms.toFixed(0)} ms and ${
    (cpu * 1000).toFixed(0)
  } ms of CPU each; at most ${peak.toFixed(0)} MiB${
    capped ? " of 512" : ", without a limit"
  }; SIGINT while answering: ${status}, exit code ${code} after ${
    drain.toFixed(0)
  } ms`;
}

if (import.meta.main) {
  const denos = Deno.args.length > 0 ? Deno.args : [Deno.execPath()];
  for (const deno of denos) {
    const { stdout } = await new Deno.Command(deno, { args: ["--version"] })
      .output();
    const [version] = new TextDecoder().decode(stdout).split("\n");
    console.log(`${version}: ${await measure(deno)}`);
  }
}
