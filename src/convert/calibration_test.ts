import { assertEquals, assertThrows } from "@std/assert";
import { openFloatCheckpoint } from "./checkpoint.ts";
import { patchesOf, photosIn } from "./calibration.ts";

Deno.test("patches are rows of one channel after the other, normalised", () => {
  // A picture of 4×2 with patches of 2: value = byte, red byte = 10·y + x.
  const data = new Uint8Array(4 * 2 * 3);
  for (let y = 0; y < 2; y++) {
    for (let x = 0; x < 4; x++) {
      data.set([10 * y + x, 100, 255], (y * 4 + x) * 3);
    }
  }
  const plan = {
    rescale: 1,
    mean: [0, 50, 0],
    std: [1, 1, 255],
  } as const;
  assertEquals(
    [...patchesOf({ width: 4, height: 2, data }, 2, plan as never)],
    [
      ...[0, 1, 10, 11, 50, 50, 50, 50, 1, 1, 1, 1],
      ...[2, 3, 12, 13, 50, 50, 50, 50, 1, 1, 1, 1],
    ],
  );
});

Deno.test("photos are sorted, found in images/, and links are not followed", () => {
  const folder = Deno.makeTempDirSync();
  try {
    for (const name of ["b.PNG", "a.jpg", "words.txt", "c.webp"]) {
      Deno.writeTextFileSync(`${folder}/${name}`, "");
    }
    if (Deno.build.os !== "windows") {
      Deno.symlinkSync("/etc/hostname", `${folder}/0.jpg`);
    }
    const names = (place: string) =>
      photosIn(place).map((p) => p.slice(folder.length));
    assertEquals(names(folder), ["/a.jpg", "/b.PNG", "/c.webp"]);
    Deno.mkdirSync(`${folder}/images`);
    assertThrows(() => photosIn(folder), RangeError, "no JPEG, PNG or WebP");
    Deno.writeTextFileSync(`${folder}/images/z.jpeg`, "");
    assertEquals(names(folder), ["/images/z.jpeg"]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a checkpoint says which of its files is missing or wrong", () => {
  const folder = Deno.makeTempDirSync();
  const refused = (want: string) =>
    assertThrows(() => openFloatCheckpoint(folder), RangeError, want);
  const write = (name: string, text: string) =>
    Deno.writeTextFileSync(`${folder}/${name}`, text);
  try {
    refused("config.json");
    write("config.json", "[]");
    refused('"config.json": it is not a JSON object');
    write("config.json", "{}");
    refused('model_type "undefined"');
    write(
      "config.json",
      JSON.stringify({
        model_type: "llama",
        quantization_config: { quant_method: "bitsandbytes" },
      }),
    );
    refused('quantized with "bitsandbytes"');
    write("config.json", JSON.stringify({ model_type: "llama" }));
    refused("tokenizer.json");
    const toy = new URL("../../tests/golden/smolvlm-toy/", import.meta.url);
    write(
      "tokenizer.json",
      Deno.readTextFileSync(new URL("tokenizer.json", toy)),
    );
    refused("no chat template");
    for (
      const name of ["chat_template.jinja", "config.json", "model.safetensors"]
    ) {
      Deno.copyFileSync(new URL(name, toy), `${folder}/${name}`);
    }
    refused("preprocessor_config.json");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
