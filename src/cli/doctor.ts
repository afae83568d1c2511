/**
 * `doctor`: reports what this machine and this Deno support, what is missing,
 * and the speed of a caption. Every line is measured or tested.
 * @module
 */
import { bestBuild, supportsRelaxed, wideDots } from "../kernels/load.ts";
import { open } from "../mod.ts";
import type { Session } from "../mod.ts";
import { canStartWorkers } from "../execute/pool.ts";
import { command } from "./command.ts";
import { EXIT, sentence } from "./errors.ts";
import { MODEL_OPTION, modelPath } from "./model_path.ts";
import { bytes, table } from "./table.ts";

/** A finding. */
interface Finding {
  /** Its subject. */
  readonly what: string;
  /** Its state. */
  readonly is: string;
  /** What the user can do about it. */
  readonly advice?: string;
  /** mquant cannot run without it. */
  readonly broken?: boolean;
}

/** (func (drop (i8x16.splat (i32.const 0)))): valid where WebAssembly has SIMD. */
const SIMD = Uint8Array.from([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0],
  ...[10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11],
]);

export default command({
  name: "doctor",
  summary: "check this machine: what works, what is missing, how fast it is",
  operands: "",
  arity: [0, 0],
  options: {
    model: MODEL_OPTION,
    threads: { type: "integer", help: "number of threads", min: 1, max: 64 },
    json: { type: "boolean", help: "print one JSON object" },
  },
  notes:
    "The speed is that of the fastest of three captions of a generated picture; other running programs\nmake it slower. Exit code 1 means that mquant cannot run here.",
  permissions:
    "--allow-read; --allow-sys=systemMemoryInfo to print the free memory",
  async run(_, values, io) {
    const findings = [system(), simd(), relaxed(), threads(), memory()];
    io.status("measuring …");
    try {
      findings.push(...await captions(values.model, values.threads, io.signal));
    } catch (error) {
      io.signal.throwIfAborted();
      const is = sentence(error, "open the model");
      findings.push({ what: "model", is, broken: true });
    }
    io.status("");
    const broken = findings.some((f) => f.broken);
    if (values.json) {
      const object = findings.map(({ what, is, advice }) => [
        what,
        advice === undefined ? { is } : { is, advice },
      ]);
      const all = { ok: !broken, ...Object.fromEntries(object) };
      io.out(`${JSON.stringify(all)}\n`);
    } else {
      io.out(table(findings.map((f) => [f.what, f.is])));
      for (const { what, advice } of findings) {
        if (advice) io.out(`${what}: ${advice}\n`);
      }
    }
    return broken ? EXIT.failure : EXIT.ok;
  },
});

function system(): Finding {
  const { deno, v8 } = Deno.version, { target } = Deno.build;
  return { what: "Deno", is: `${deno}, V8 ${v8}, ${target}` };
}

function simd(): Finding {
  if (WebAssembly.validate(SIMD)) return { what: "SIMD", is: "yes" };
  return {
    what: "SIMD",
    is: "no",
    broken: true,
    advice: "the kernels need it; use a current Deno on x86-64 or arm64",
  };
}

function relaxed(): Finding {
  if (!supportsRelaxed()) {
    return {
      what: "relaxed SIMD",
      is: `no, kernels ${bestBuild()}`,
      advice: "same results, about half as fast; a current Deno has it",
    };
  }
  const dots = wideDots() ? "32-bit" : "16-bit";
  return {
    what: "relaxed SIMD",
    is: `yes, kernels ${bestBuild()}, dot products of ${dots} sums`,
  };
}

function threads(): Finding {
  const cpus = navigator.hardwareConcurrency;
  if (canStartWorkers()) {
    const used = Math.min(cpus, 4);
    return { what: "threads", is: `${used} of ${cpus} CPUs unless told` };
  }
  return {
    what: "threads",
    is: `1 of ${cpus} CPUs`,
    advice:
      "Deno may not read this package's files; allow it with --allow-read",
  };
}

function memory(): Finding {
  const allowed = Deno.permissions.querySync({
    name: "sys",
    kind: "systemMemoryInfo",
  }).state === "granted";
  if (!allowed) {
    return {
      what: "memory",
      is: "not known without --allow-sys=systemMemoryInfo",
    };
  }
  const { available, total } = Deno.systemMemoryInfo();
  return {
    what: "memory",
    is: `${bytes(available)} of ${bytes(total)} available`,
  };
}

async function captions(
  model: string | undefined,
  threads: number | undefined,
  signal: AbortSignal,
): Promise<Finding[]> {
  const path = modelPath(model);
  await using session = await open(path, {
    ...(threads === undefined ? {} : { threads }),
    signal,
  });
  const { info } = session;
  const ms = (x: number) => `${x < 20 ? x.toFixed(1) : Math.round(x)} ms`;
  const { seconds, text } = await fastest(session, signal);
  return [
    {
      what: "model",
      is: `${info.architecture} ${info.recipe}, ${
        bytes(info.memory.total)
      }, ready in ${ms(info.loadMs)}`,
    },
    { what: "speed", is: `a caption in ${seconds.toFixed(2)} s: ${text}` },
  ];
}

/** The fastest of three captions of a noise picture. */
async function fastest(session: Session, signal: AbortSignal) {
  const side = 512;
  const data = Uint8Array.from(
    { length: side * side * 3 },
    (_, i) => Math.imul(i, 0x9e3779b1) >>> 24,
  );
  let best: { seconds: number; text: string } | undefined;
  for (let i = 0; i < 3; i++) {
    const { timings: t, tokens } = await session.caption(
      { width: side, height: side, data },
      { maxTokens: 16, signal },
    );
    signal.throwIfAborted();
    const image = t.imageMs + t.visionMs;
    const seconds = (image + t.prefillMs + t.decodeMs) / 1000;
    if (best && best.seconds <= seconds) continue;
    const perToken = t.decodeMs / Math.max(1, tokens.length);
    best = {
      seconds,
      text: `image ${Math.round(image)} ms, prompt ${
        Math.round(t.prefillMs)
      } ms, ${perToken.toFixed(1)} ms per token`,
    };
  }
  return best!;
}
