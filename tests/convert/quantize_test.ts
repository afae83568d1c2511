/**
 * `quantize()` as a library function: progress, abort and resume, errors, loaded
 * modules.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { ImageError, open } from "../../src/mod.ts";
import {
  quantize,
  QuantizeError,
  type QuantizeErrorCode,
  type QuantizeOptions,
  type QuantizeProgress,
} from "../../src/convert/mod.ts";
import { loadedModules } from "../loaded_modules.ts";

const TOY = "tests/golden/smolvlm-toy";
const PHOTOS = "models/photo-mini/photos";

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = Deno.makeTempDirSync();
  try {
    await work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const options = (out: string): QuantizeOptions => ({
  calibration: PHOTOS,
  samples: 2,
  threads: 1,
  out,
});

const names = (folder: string) =>
  [...Deno.readDirSync(folder)].map((e) => e.name).sort();

Deno.test("quantize reports each stage in order, leaves the event loop free, and says what it wrote", async () => {
  await inFolder(async (folder) => {
    const out = `${folder}/toy.safetensors`, seen: QuantizeProgress[] = [];
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const result = await quantize(TOY, {
      ...options(out),
      threads: 2,
      onProgress: (p) => seen.push(p),
    });
    clearInterval(timer);
    assert(turns > 10, `${turns} turns`);
    const bytes = Deno.readFileSync(out);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    assertEquals(result, { path: out, bytes: bytes.length, sha256 });
    assertEquals(names(folder), ["toy.safetensors"]);

    const stages = [...new Set(seen.map((p) => p.stage))];
    assertEquals(stages, ["read", "answer", "quantize", "write"]);
    for (const stage of stages) {
      const some = seen.filter((p) => p.stage === stage);
      const { done, total, share } = some.at(-1)!;
      assertEquals([done, share], [total, 1], stage);
      for (const [i, p] of some.entries()) {
        if (i > 0) assert(p.share >= some[i - 1].share, stage);
      }
    }
    const linears = seen.flatMap((p) => p.linear ?? []);
    assertEquals(new Set(linears).size, linears.length);
    assert(linears.length > 20, `${linears.length}`);

    await using model = await open(out, { threads: 1 });
    assertEquals(model.info.recipe, "w4a8");
  });
});

Deno.test("an aborted quantize stops, keeps its work, and the same call ends with the same bytes", async () => {
  await inFolder(async (folder) => {
    const whole = await quantize(TOY, options(`${folder}/whole`));
    const out = `${folder}/out`, stop = new AbortController();
    const reason = new Error("enough");
    let after = 0;
    await assertRejects(
      () =>
        quantize(TOY, {
          ...options(out),
          signal: stop.signal,
          onProgress: ({ stage, done }) => {
            if (stage !== "quantize") return;
            if (stop.signal.aborted) after++;
            if (done === 3) stop.abort(reason);
          },
        }),
      Error,
      reason.message,
    );
    assertEquals(names(folder), ["out.part", "whole"]);
    const stages: string[] = [];
    const resumed = await quantize(TOY, {
      ...options(out),
      onProgress: ({ stage, total }) => {
        stages.push(stage);
        if (stage === "quantize") {
          assert(after < total / 2, `${after} of ${total} after the abort`);
        }
      },
    });
    assertEquals(resumed.sha256, whole.sha256);
    assert(stages.includes("resume"));
    assertEquals(names(folder), ["out", "whole"]);
    await assertRejects(
      () => quantize(TOY, { ...options(out), signal: stop.signal }),
      Error,
      reason.message,
    );
  });
});

Deno.test("what onProgress throws stops the work and is what the caller gets", async () => {
  await inFolder(async (folder) => {
    const error = new TypeError("mine");
    const got = await assertRejects(() =>
      quantize(TOY, {
        ...options(`${folder}/out`),
        onProgress: ({ stage }) => {
          if (stage === "answer") throw error;
        },
      })
    );
    assertEquals(got, error);
    assertEquals(names(folder), ["out.part"]);
  });
});

Deno.test("errors have the class and the code of their cause", async () => {
  await inFolder(async (folder) => {
    const out = `${folder}/out`;
    const refused = async (
      code: QuantizeErrorCode,
      text: string,
      changes: Partial<QuantizeOptions>,
      checkpoint = TOY,
    ) => {
      const error = await assertRejects(
        () => quantize(checkpoint, { ...options(out), ...changes }),
        QuantizeError,
        text,
      );
      assertEquals(error.code, code);
    };
    await refused("option", 'no recipe "w2"; choose one of w4a8,', {
      recipe: "w2",
    });
    for (const samples of [0, 1.5, NaN, 4097]) {
      await refused("option", "samples must be a whole number from 1 to 4096", {
        samples,
      });
    }
    await refused("option", "threads must", { threads: 0 });
    await refused("option", "answerTokens must", { answerTokens: -1 });
    await refused("option", "prompts is empty", { prompts: [] });
    await refused("option", "out is missing", { out: "" });
    await refused("checkpoint", "there is no such folder", {}, `${folder}/no`);
    await refused("checkpoint", "config.json", {}, folder);
    await refused("calibration", "there is no such folder", {
      calibration: `${folder}/no`,
    });
    await refused("calibration", "no JPEG, PNG or WebP", {
      calibration: folder,
    });
    Deno.mkdirSync(`${folder}/photos`);
    Deno.writeTextFileSync(`${folder}/photos/bad.png`, "\x89PNG\r\n\x1a\n");
    const bad = await assertRejects(
      () => quantize(TOY, { ...options(out), calibration: `${folder}/photos` }),
      ImageError,
      '"bad.png"',
    );
    assert(["truncated", "damaged", "unknown_kind"].includes(bad.code));

    const stop = new AbortController();
    const half = quantize(TOY, {
      ...options(out),
      signal: stop.signal,
      onProgress: ({ stage }) => void (stage === "quantize" && stop.abort()),
    });
    await assertRejects(() => half, DOMException);
    await refused("unfinished", "other inputs", { recipe: "w8a8" });
  });
});

Deno.test("who imports quantize() or open() loads nothing of the quantizer; its worker does", async () => {
  const quantizer = /\/src\/(quantize|float|evaluate|models)\//;
  for (const entry of ["src/mod.ts", "src/convert/mod.ts"]) {
    const modules = await loadedModules(entry);
    assert(modules.length > 5, entry);
    assertEquals(modules.filter((m) => quantizer.test(m)), [], entry);
  }
  const worker = await loadedModules("src/convert/worker.ts");
  assert(worker.some((m) => quantizer.test(m)));
});
