/**
 * A truncated model file, or one with flipped bits, is never accepted. Every length
 * and every bit of the header; random bits of tensors.
 */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { FormatError } from "../../src/format/error.ts";
import { openSafetensors } from "../../src/format/safetensors.ts";
import { bytesSource } from "../../src/format/source.ts";
import { verify } from "../../src/format/verify.ts";
import { writeSafetensors } from "../../src/format/write.ts";
import { writeModelFile } from "../../src/format/write_model.ts";
import { open } from "../../src/mod.ts";
import { random, uniform } from "../../src/tensor/random.ts";
import { toy } from "../agreement/toy_file.ts";
import { smallModel } from "../small_graph.ts";

async function read(bytes: Uint8Array): Promise<number> {
  const source = bytesSource(bytes, "x");
  return await verify(source, openSafetensors(source));
}
const headerEnd = (bytes: Uint8Array) =>
  8 + new DataView(bytes.buffer).getUint32(0, true);

/** A model file of a short header: two tensors and an asset. */
function tiny(): Uint8Array {
  const path = Deno.makeTempFileSync();
  try {
    writeModelFile(path, {
      metadata: { architecture: "none", recipe: '{"name":"none"}' },
      tensors: ["a", "b"].map((name) => ({
        name,
        dtype: "F32",
        shape: [2],
        data: () => Float32Array.of(1, 2),
      })),
      assets: { hello: Uint8Array.of(1, 2, 3) },
    });
    return Deno.readFileSync(path);
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("a model cut at any length is refused", async () => {
  const bytes = smallModel({ hello: Uint8Array.of(1, 2, 3) });
  await read(bytes);
  for (let n = 0; n < bytes.length; n++) {
    const cut = bytes.subarray(0, n);
    await assertRejects(() => read(cut), FormatError, "Cannot open");
  }
});

Deno.test("every single flipped bit of the header is refused", async () => {
  const bytes = tiny(), end = headerEnd(bytes);
  await read(bytes);
  let hashed = 0;
  for (let bit = 0; bit < 8 * end; bit++) {
    bytes[bit >> 3] ^= 1 << (bit & 7);
    const { code } = await assertRejects(() => read(bytes), FormatError);
    if (code === "checksum") hashed++;
    bytes[bit >> 3] ^= 1 << (bit & 7);
  }
  assert(end > 600 && hashed > end, `${hashed} of ${8 * end} parse`);
});

Deno.test("every one of 10,000 flipped bits of the tensors is found", async () => {
  const bytes = smallModel(), from = headerEnd(bytes);
  const next = random(4);
  for (let i = 0; i < 10_000; i++) {
    const at = from + Math.floor(uniform(next) * (bytes.length - from));
    const flip = 1 << Math.floor(uniform(next) * 8);
    bytes[at] ^= flip;
    const error = await assertRejects(() => read(bytes), FormatError);
    assertEquals(error.code, "checksum");
    bytes[at] ^= flip;
  }
  assert(await read(bytes) > 15);
});

Deno.test("open refuses a damaged tensor, unless verification is off", async () => {
  const bytes = toy().bytes.slice();
  bytes[bytes.length - 1] ^= 1; // the chat template: "assistant;"
  await assertRejects(
    () => open(bytes, { threads: 1 }),
    FormatError,
    "damaged",
  );
  await using session = await open(bytes, { threads: 1, verify: false });
  assertEquals(session.info.threads, 1);
});

Deno.test("a format that demands checksums does not open without", async () => {
  const text = new TextDecoder("latin1").decode(smallModel());
  for (const key of ["sha256", "header_sha256"]) {
    const without = text.replace(`"${key}"`, `"${key.replace("s", "z")}"`);
    const bytes = Uint8Array.from(without, (c) => c.charCodeAt(0));
    await assertRejects(() => read(bytes), FormatError, "damaged");
  }
});

Deno.test("the last byte of a large tensor counts, and so does one that nobody listed", async () => {
  const path = Deno.makeTempFileSync();
  const size = 4 * 2 ** 20 + 1; // more than is hashed at a time
  const tensor = {
    name: "a",
    dtype: "U8",
    shape: [size],
    data: () => new Uint8Array(size),
  } as const;
  try {
    const content = { metadata: {}, tensors: [tensor], assets: {} };
    writeModelFile(path, content);
    const bytes = Deno.readFileSync(path);
    await read(bytes);
    bytes[bytes.length - 1] ^= 1;
    await assertRejects(() => read(bytes), FormatError, "damaged");
    writeSafetensors(path, {
      metadata: { format: "mquant/1", sha256: "{}" },
      tensors: [tensor],
    });
    const error = await assertRejects(
      () => read(Deno.readFileSync(path)),
      FormatError,
    );
    assertStringIncludes(error.message, "none is listed");
  } finally {
    Deno.removeSync(path);
  }
});
