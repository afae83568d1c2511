import { assertEquals, assertRejects } from "@std/assert";
import { answer, type Produce, type Result } from "./answer.ts";

const RESULT: Result = {
  text: "ab",
  tokens: [1, 2],
  finish: "stop",
  timings: { queueMs: 0, imageMs: 0, visionMs: 0, prefillMs: 0, decodeMs: 0 },
  promptTokens: 3,
  cachedTokens: 0,
};

const pause = () => new Promise((done) => setTimeout(done, 1));

/** Shows two pieces with pauses, and counts how often it is run. */
function producer() {
  const state = { runs: 0, aborted: false };
  const produce: Produce = async (show, signal) => {
    state.runs++;
    signal.addEventListener("abort", () => state.aborted = true);
    for (const piece of ["a", "b"]) {
      await pause();
      show(piece);
    }
    await pause();
    return RESULT;
  };
  return { state, produce };
}

Deno.test("nothing runs until somebody asks; then it runs once for all", async () => {
  const { state, produce } = producer();
  const a = answer(produce);
  await pause();
  assertEquals(state.runs, 0);
  const read = async () => {
    let text = "";
    for await (const piece of a) text += piece;
    return text;
  };
  assertEquals(await Promise.all([read(), read(), a, a]), [
    "ab",
    "ab",
    RESULT,
    RESULT,
  ]);
  assertEquals(await read(), "ab");
  assertEquals(state, { runs: 1, aborted: false });
});

Deno.test("who leaves early cancels", async () => {
  const { state, produce } = producer();
  const a = answer(produce);
  for await (const _ of a) break;
  assertEquals(state, { runs: 1, aborted: true });
  await a; // this producer does not listen: let its timer end
});

Deno.test("an error reaches whoever awaits and whoever iterates", async () => {
  const a = answer(async (show) => {
    await pause();
    show("a");
    throw new RangeError("no");
  });
  const pieces: string[] = [];
  await assertRejects(
    async () => {
      for await (const piece of a) pieces.push(piece);
    },
    RangeError,
    "no",
  );
  await assertRejects(async () => await a, RangeError, "no");
  assertEquals(pieces, ["a"]);
});
