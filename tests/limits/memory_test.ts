/** Memory limits are checked before allocation: at the limit, and one byte below. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { open } from "../../src/mod.ts";
import { RuntimeError } from "../../src/graph/error.ts";
import { toy } from "../agreement/toy_file.ts";
import { run } from "../hostile_cli/run.ts";

Deno.test("a model that takes more than it may is refused, with the sum of its parts", async () => {
  const { bytes } = toy(), options = { threads: 1, context: 64 };
  await using session = await open(bytes, options);
  const { total } = session.info.memory;
  for (const maxMemory of [total, total + 1]) {
    await using fits = await open(bytes, { ...options, maxMemory });
    assertEquals(fits.info.memory.total, total);
  }
  const error = await assertRejects(
    () => open(bytes, { ...options, maxMemory: total - 1 }),
    RuntimeError,
    "Cannot open the model: it takes",
  );
  assertEquals(error.code, "memory");
  for (const part of ["weights", "kv", "activations", "context"]) {
    assertStringIncludes(error.message, part);
  }
});

Deno.test("--max-memory, on the command line", async () => {
  const { code, out, err } = await run([
    "caption",
    "--max-memory=10",
    "models/photo-mini/photos/cat.jpg",
  ]);
  assertEquals([code, out], [1, ""]);
  assertStringIncludes(err, "at most 10 MB are allowed; ");
});
