/** The plan and the profile of a session. */
import { assert, assertEquals } from "@std/assert";
import { open } from "../../src/mod.ts";
import { toy, toyPixels } from "./toy_file.ts";

Deno.test("describePlan lists every step of every list, and the memory", async () => {
  await using session = await open(toy().bytes, { threads: 2 });
  const { steps, text } = session.describePlan();
  assertEquals(
    new Set(steps.map((s) => s.list)),
    new Set(["vision", "prefill", "decode"]),
  );
  const lines = text.split("\n");
  const { memory } = session.info;
  assertEquals(lines.length, 1 + steps.length + 1 + Object.keys(memory).length);
  for (
    const part of ["gemm_w4a8", "gemv_w8a8", "text.1.gate+text.1.up", "total"]
  ) {
    assert(text.includes(part), part);
  }
  const image = steps.filter((s) => s.list === "prefill" && s.rows === "image");
  const words = steps.filter((s) => s.list === "prefill" && s.rows === "text");
  assert(image.length > 10 && words.length > 10, "one call per modality");
  assert(!steps.some((s) => s.list === "decode" && s.rows === "image"));
});

Deno.test("the memory a session says it takes is the sum of its parts, in whole pages", async () => {
  await using session = await open(toy().bytes, { threads: 1, context: 64 });
  const { total, ...parts } = session.info.memory;
  const sum = Object.values(parts).reduce((a, b) => a + b);
  assertEquals(total % 65536, 0);
  assert(sum <= total && total - sum < 2 * 65536, `${sum} of ${total}`);
  await using longer = await open(toy().bytes, { threads: 1, context: 128 });
  assertEquals(longer.info.memory.kv, 2 * session.info.memory.kv);
});

Deno.test("profile counts the calls of one answer and no others", async () => {
  await using session = await open(toy().bytes, { threads: 1 });
  const image = toyPixels(2);
  const ask = () => session.caption(image, { maxTokens: 3 });
  await ask();
  const { kernels, totalMs } = await session.profile(ask);
  await ask();
  const calls = Object.fromEntries(kernels.map((k) => [k.kernel, k.calls]));
  const planned = session.describePlan().steps;
  const count = (list: string, kernel: string) =>
    planned.filter((s) => s.list === list && s.kernel === kernel).length;
  assertEquals(calls.patchify_u8_s8, 1);
  // a prompt of one chunk, then two tokens more
  assertEquals(
    calls.attention_s8,
    count("vision", "attention_s8") + 3 * count("decode", "attention_s8"),
  );
  assertEquals(calls.embedding_f32, 3);
  const ms = kernels.reduce((sum, k) => sum + k.ms, 0);
  assert(ms > 0 && ms <= totalMs);
});
