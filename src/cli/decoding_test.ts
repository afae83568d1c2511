/** Photos that take long are decoded in a thread of their own, and given up. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import golden from "../image/decode_golden.json" with { type: "json" };
import { decode } from "../image/decode.ts";
import { ImageError } from "../image/image.ts";
import { decoding, type DecodingOptions } from "./decoding.ts";

const never = new AbortController().signal;
const JPEG = golden.good.find(({ what }) => what.startsWith("jpeg"))!.file;
const jpeg = () => Uint8Array.fromBase64(JPEG);

/** A thread that answers after `ms`, or ends with an error where that is negative. */
function slow(ms: number): DecodingOptions {
  const code = `let photos = 0;
  onmessage = ({ data }) => {
    photos++;
    if (${ms} < 0) throw new Error("no");
    for (const end = Date.now() + ${ms}; Date.now() < end;);
    postMessage({ image: { width: photos, height: 1, data: data.bytes } });
  }`;
  const worker = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
  return { worker, small: 0 };
}

async function refused(
  work: Promise<unknown>,
  sentence: RegExp,
): Promise<number> {
  const begun = performance.now();
  const error = await assertRejects(() => work, ImageError);
  assertMatch(error.message, sentence);
  return performance.now() - begun;
}

Deno.test("a thread decodes as one is decoded here, and tells the same errors", async () => {
  using photos = decoding({ small: 0 });
  const image = await photos.decode(jpeg(), "a.jpg", never);
  assertEquals(image, await decode(jpeg()));
  const cut = jpeg().subarray(0, -2);
  await refused(
    photos.decode(cut.slice(), "cut.jpg", never),
    /^Cannot decode "cut\.jpg": the file is truncated/,
  );
  assertEquals(await photos.decode(jpeg(), "a.jpg", never), image); // the thread goes on
});

Deno.test("a photo that takes too long fails alone; threads that are busy with such are bounded, and used again", async () => {
  using photos = decoding({ ...slow(3000), ms: 100 });
  const late = () => photos.decode(jpeg(), "slow.jpg", never);
  const tooLong = /^Cannot decode "slow\.jpg": it takes more than 0\.1 s/;
  for (let i = 0; i < 3; i++) assert(await refused(late(), tooLong) < 2500);
  const many = /^Cannot decode "slow\.jpg": 3 large photos before it/;
  await refused(late(), many);
  for (let i = 0; i < 200; i++) { // until one of them has come to an end
    await new Promise((go) => setTimeout(go, 100));
    const error = await assertRejects(late, ImageError);
    if (tooLong.test(error.message)) return;
    assertMatch(error.message, many);
  }
  throw new Error("no thread came to an end");
});

Deno.test("Ctrl-C is heard while a photo is decoded", async () => {
  using photos = decoding(slow(3000));
  const stop = new AbortController(), begun = performance.now();
  setTimeout(() => stop.abort(new Error("stopped")), 50);
  await assertRejects(
    () => photos.decode(jpeg(), "slow.jpg", stop.signal),
    Error,
    "stopped",
  );
  assert(performance.now() - begun < 2500);
});

Deno.test("one thread decodes photo after photo", async () => {
  using photos = decoding(slow(1));
  for (const width of [1, 2, 3]) {
    assertEquals(
      (await photos.decode(jpeg(), "a.jpg", never)).width,
      width,
    );
  }
});

Deno.test("a thread that ends is replaced", async () => {
  using photos = decoding(slow(-1));
  for (let i = 0; i < 2; i++) {
    await refused(
      photos.decode(jpeg(), "bad.jpg", never),
      /^Cannot decode "bad\.jpg": its thread ended: .*no; copy it again/,
    );
  }
});
