import { assert, assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "./error.ts";
import { HEADER_LIMITS } from "./header.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { floatTensor, openSafetensors } from "./safetensors.ts";
import { bytesSource, fileSource } from "./source.ts";
import { writeSafetensors } from "./write.ts";
import type { TensorToWrite } from "./write.ts";

const tensors: TensorToWrite[] = [
  {
    name: "bytes",
    dtype: "U8",
    shape: [3],
    data: () => Uint8Array.of(1, 2, 3),
  },
  {
    name: "half",
    dtype: "F16",
    shape: [2],
    data: () => Uint16Array.of(0x3c00, 0xc000),
  },
  {
    name: "brain",
    dtype: "BF16",
    shape: [1, 2],
    data: () => Uint16Array.of(0x3f80, 0xc000),
  },
  { name: "wide", dtype: "F64", shape: [1], data: () => Float64Array.of(0.1) },
  { name: "long", dtype: "I64", shape: [1], data: () => BigInt64Array.of(-5n) },
  {
    name: "float",
    dtype: "F32",
    shape: [2, 2],
    data: () => Float32Array.of(1, 2, 3, 4),
  },
  { name: "int", dtype: "I32", shape: [], data: () => Int32Array.of(-7) },
  { name: "short", dtype: "I16", shape: [1], data: () => Int16Array.of(-9) },
  { name: "small", dtype: "I8", shape: [2], data: () => Int8Array.of(-1, 127) },
  { name: "flag", dtype: "BOOL", shape: [2], data: () => Uint8Array.of(0, 1) },
  {
    name: "empty",
    dtype: "F32",
    shape: [0, 4],
    data: () => new Float32Array(0),
  },
  { name: "__proto__", dtype: "U8", shape: [1], data: () => Uint8Array.of(9) },
];

function inFolder(run: (folder: string) => void) {
  const folder = Deno.makeTempDirSync();
  try {
    run(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("what is written is read back, every dtype aligned to its elements", () =>
  inFolder((folder) => {
    const path = `${folder}/x.safetensors`;
    writeSafetensors(path, { metadata: { who: 'Ä "q"', "2": "two" }, tensors });
    using file = openSafetensors(fileSource(path));
    assertEquals([...file.metadata], [["2", "two"], ["who", 'Ä "q"']]);
    assertEquals(file.tensors.size, tensors.length);
    assertEquals([...file.tensor("bytes").read()], [1, 2, 3]);
    assertEquals([...file.tensor("half").read()], [1, -2]);
    assertEquals([...file.tensor("brain").read()], [1, -2]);
    assertEquals([...file.tensor("wide").read()], [0.1]);
    assertEquals(file.tensor("long").read(), BigInt64Array.of(-5n));
    assertEquals(
      floatTensor(file.tensor("float")).read(),
      Float64Array.of(1, 2, 3, 4),
    );
    assertEquals(file.tensor("int").read(), Int32Array.of(-7));
    assertEquals(file.tensor("int").shape, []);
    assertEquals(file.tensor("short").read(), Int16Array.of(-9));
    assertEquals(file.tensor("small").read(), Int8Array.of(-1, 127));
    assertEquals([...file.tensor("flag").read()], [0, 1]);
    assertEquals(file.tensor("empty").read().length, 0);
    assertEquals([...file.tensor("__proto__").read()], [9]);
    const shared = new Uint8Array(new SharedArrayBuffer(16));
    file.tensor("float").readInto(shared);
    assertEquals(new Float32Array(shared.buffer)[3], 4);
    assertThrows(
      () => file.tensor("float").readInto(new Uint8Array(15)),
      RangeError,
    );
    assertThrows(() => file.tensor("none"), FormatError, "no tensor");
    assertThrows(
      () => floatTensor(file.tensor("long")).read(),
      TypeError,
      "I64",
    );
  }));

Deno.test("writing is deterministic, data begin at a multiple of 64, no temporary file stays", () =>
  inFolder((folder) => {
    const content = { metadata: { a: "b" }, tensors, sha256: true };
    writeSafetensors(`${folder}/1.safetensors`, content);
    writeSafetensors(`${folder}/2.safetensors`, content);
    const bytes = Deno.readFileSync(`${folder}/1.safetensors`);
    assertEquals(bytes, Deno.readFileSync(`${folder}/2.safetensors`));
    assertEquals((8 + new DataView(bytes.buffer).getUint32(0, true)) % 64, 0);
    const names = [...Deno.readDirSync(folder)].map((e) => e.name).toSorted();
    assertEquals(names, ["1.safetensors", "2.safetensors"]);
  }));

Deno.test("a failed write leaves the old file and nothing else", () =>
  inFolder((folder) => {
    const path = `${folder}/x.safetensors`;
    Deno.writeTextFileSync(path, "old");
    const one = (t: Partial<TensorToWrite>) =>
      writeSafetensors(path, {
        metadata: {},
        tensors: [{ ...tensors[0], ...t }],
      });
    assertThrows(
      () => one({ data: () => new Uint8Array(2) }),
      RangeError,
      "needs 3 bytes",
    );
    assertThrows(() => one({ name: "" }), FormatError, "1 to 256 bytes");
    assertThrows(() => one({ name: "é".repeat(129) }), FormatError);
    assertThrows(() => one({ name: "__metadata__" }), FormatError, "twice");
    assertThrows(() => one({ shape: [2 ** 52, 4] }), FormatError);
    assertEquals(Deno.readTextFileSync(path), "old");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
    one({ name: "é".repeat(128) });
  }));

Deno.test("shards read as one; an index and shards that disagree are refused", () =>
  inFolder((folder) => {
    const write = (name: string, tensors: TensorToWrite[]) =>
      writeSafetensors(`${folder}/${name}`, {
        metadata: { format: "pt" },
        tensors,
      });
    const index = (weight_map: Record<string, string>) =>
      Deno.writeTextFileSync(
        `${folder}/model.safetensors.index.json`,
        JSON.stringify({ metadata: { total_size: 1.5e9 }, weight_map }),
      );
    const [a, b] = [
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
    ];
    write(a, [tensors[0]]);
    write(b, [tensors[1], tensors[5]]);
    index({ bytes: a, half: b, float: b });
    {
      using all = openCheckpoint(folder);
      assertEquals([...all.tensors.keys()].toSorted(), [
        "bytes",
        "float",
        "half",
      ]);
      assertEquals([...all.tensor("float").read()], [1, 2, 3, 4]);
      assertEquals(all.metadata.get("format"), "pt");
    }
    const refused = (map: Record<string, string>, message: string) => {
      index(map);
      assertEquals(
        assertThrows(() => openCheckpoint(folder), FormatError, message).code,
        "shard_index",
      );
    };
    refused({ bytes: a, half: b }, "does not list");
    refused({ bytes: a, half: b, float: b, more: a }, "does not contain it");
    refused({ bytes: "../x.safetensors" }, "plain file name");
    refused({}, "no weight_map");
    write("model.safetensors", [tensors[3]]);
    using single = openCheckpoint(folder);
    assertEquals([...single.tensors.keys()], ["wide"]);
  }));

Deno.test("a folder of pickles is told how to become a checkpoint", () => {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${folder}/pytorch_model-00001-of-00002.bin`, "");
    const error = assertThrows(() => openCheckpoint(folder), FormatError);
    assert(error.message.includes("safetensors.torch"), error.message);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("fileSource: no file, a folder, a file that shrank", () =>
  inFolder((folder) => {
    const code = (path: string) =>
      assertThrows(() => fileSource(path), FormatError).code;
    assertEquals(code(`${folder}/none`), "not_found");
    assertEquals(code(folder), "not_a_file");
    Deno.writeTextFileSync(`${folder}/f`, "12345678");
    using source = fileSource(`${folder}/f`);
    Deno.truncateSync(`${folder}/f`, 4);
    assertThrows(
      () => source.read(0, new Uint8Array(8)),
      FormatError,
      "ends at byte 4",
    );
    assertThrows(
      () => source.read(4, new Uint8Array(5)),
      FormatError,
      "it has 8",
    );
    assert(source.name === "f");
  }));

Deno.test("a header with the maximum number of tensors opens quickly", () => {
  const entry = (i: number) =>
    `"t${i}":{"dtype":"U8","shape":[1],"data_offsets":[${i},${i + 1}]}`;
  const file = (n: number) => {
    const json = new TextEncoder().encode(
      `{${Array.from({ length: n }, (_, i) => entry(i)).join(",")}}`,
    );
    const bytes = new Uint8Array(8 + json.length + n);
    new DataView(bytes.buffer).setUint32(0, json.length, true);
    bytes.set(json, 8);
    return bytesSource(bytes, "many");
  };
  assertEquals(
    openSafetensors(file(HEADER_LIMITS.tensors)).tensors.size,
    65_536,
  );
  const error = assertThrows(
    () => openSafetensors(file(HEADER_LIMITS.tensors + 1)),
    FormatError,
  );
  assertEquals(error.code, "too_many_tensors");
});

Deno.test("a real checkpoint opens and has the numbers numpy reads", () => {
  using file = openCheckpoint(
    new URL("../../models/checkpoints/photo-mini/", import.meta.url).pathname,
  );
  assertEquals(file.tensors.size, 398);
  assertEquals(file.metadata.get("format"), "pt");
  const embed = file.tensor("model.language_model.embed_tokens.weight");
  assertEquals(embed.shape, [6144, 384]);
  const values = embed.read();
  assertEquals([...values.slice(0, 3)], [
    0.01065826416015625,
    0.0121612548828125,
    0.00913238525390625,
  ]);
  assertEquals(values.at(-1), -0.0091552734375);
});
