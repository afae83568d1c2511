import {
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { FormatError } from "./error.ts";
import { openSafetensors } from "./safetensors.ts";
import { verify } from "./verify.ts";
import { openModelFile } from "./model_file.ts";
import { writeModelFile } from "./write_model.ts";
import { type ByteSource, bytesSource, fileSource } from "./source.ts";
import { writeSafetensors } from "./write.ts";

const folder = Deno.makeTempDirSync();
const path = `${folder}/tiny.w4a8.safetensors`;
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

async function verified(source: ByteSource): Promise<number> {
  using file = openSafetensors(source);
  return await verify(source, file);
}

const scale = {
  name: "text.0.input_scale",
  dtype: "F32" as const,
  shape: [2],
  data: () => Float32Array.of(0.5, 0.25),
};

function write(metadata: Record<string, string> = {}) {
  writeModelFile(path, {
    metadata: { architecture: "toy", ...metadata },
    tensors: [scale],
    assets: {
      "tokenizer.json": new TextEncoder().encode("{}"),
      "bad": Uint8Array.of(0xff),
    },
  });
}

Deno.test("a model file holds weights, metadata and assets, and verifies", async () => {
  write();
  using model = openModelFile(fileSource(path));
  assertEquals([...model.tensors.keys()], ["text.0.input_scale"]);
  assertEquals([...model.tensor("text.0.input_scale").read()], [0.5, 0.25]);
  assertEquals(model.assets, ["tokenizer.json", "bad"]);
  assertEquals(model.assetText("tokenizer.json"), "{}");
  assertEquals(model.meta("format"), "mquant/2");
  assertEquals(model.meta("architecture"), "toy");
  assertEquals(await verified(fileSource(path)), 3);
  assertThrows(() => model.meta("none"), FormatError, "has no");
  assertThrows(() => model.asset("none"), FormatError, "no asset");
  assertThrows(() => model.assetText("bad"), FormatError, "not UTF-8");
});

Deno.test("verify finds one changed bit of weights", async () => {
  write();
  const bytes = Deno.readFileSync(path);
  const at = bytes.length - 4; // the scales end before the 3 bytes of assets
  bytes[at] ^= 1;
  const damaged = bytesSource(bytes, "x");
  const error = await assertRejects(
    () => verified(damaged),
    FormatError,
    "damaged",
  );
  assertEquals(error.code, "checksum");
});

Deno.test("a float checkpoint and another major are told apart, with the next step", async () => {
  const refused = (metadata: Record<string, string>) => {
    writeSafetensors(path, { metadata, tensors: [scale] });
    return assertThrows(() => openModelFile(fileSource(path)), FormatError);
  };
  assertEquals(
    refused({}).message,
    'Cannot open "tiny.w4a8.safetensors": it is a float checkpoint (no "format" in its metadata); run `deno task quantize` on it first',
  );
  assertStringIncludes(refused({ format: "pt" }).message, '"pt"');
  assertEquals(refused({ format: "mquant/3" }).code, "version");
  assertEquals(refused({ format: "mquant/10" }).code, "version");
  for (const format of ["mquant/1", "mquant/1.0.3", "mquant/1.1"]) {
    assertEquals(
      refused({ format }).message,
      `Cannot open "tiny.w4a8.safetensors": its format is "${format}", this version reads mquant/2; run \`deno task convert OLD NEW\` (installed: \`mquant convert OLD NEW\`) to convert it without its checkpoint`,
    );
  }
  writeSafetensors(path, {
    metadata: { format: "mquant/1" },
    tensors: [scale],
  });
  assertEquals(await verified(fileSource(path)), 0);
  writeSafetensors(path, {
    metadata: { format: "mquant/2" },
    tensors: [scale],
  });
  using _ = openModelFile(fileSource(path));
  await assertRejects(
    () => verified(fileSource(path)),
    FormatError,
    "requires checksums",
  );
});

Deno.test("an asset that is not a row of bytes is refused", () => {
  const asset = { ...scale, name: "file:x" };
  writeSafetensors(path, {
    metadata: { format: "mquant/2" },
    tensors: [asset],
  });
  const error = assertThrows(
    () => openModelFile(fileSource(path)),
    FormatError,
  );
  assertEquals(error.code, "asset");
});
