import { assertEquals, assertThrows } from "@std/assert";
import { type Fields, openRecords } from "./records.ts";

function withPath(work: (path: string) => void) {
  return () => {
    const folder = Deno.makeTempDirSync();
    try {
      work(`${folder}/work.part`);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  };
}

const A: Fields = {
  bits: 4,
  kind: "weight",
  values: Int8Array.of(-8, 0, 7),
  scale: Float32Array.of(0.1, 2 ** -23),
  exact: Float64Array.of(Math.PI),
};

Deno.test(
  "records come back as they were added, in this and in a later process",
  withPath((path) => {
    {
      using records = openRecords(path, "key");
      records.add("a", A);
      records.add("b", { rows: new Float32Array(0) });
      assertEquals(records.read("a"), A);
      assertEquals([records.has("a"), records.has("c")], [true, false]);
    }
    using records = openRecords(path, "key");
    assertEquals(records.size, 2);
    assertEquals(records.read("a"), A);
    assertEquals(records.read("b"), { rows: new Float32Array(0) });
    assertEquals(records.read("c"), undefined);
  }),
);

Deno.test(
  "cut at any byte, whole records stay and the work goes on behind them",
  withPath((path) => {
    const names = ["a", "b", "c"], ends: number[] = [];
    {
      using records = openRecords(path, "key");
      for (const name of names) {
        records.add(name, A);
        ends.push(Deno.statSync(path).size);
      }
    }
    const whole = Deno.readFileSync(path);
    for (let cut = 0; cut < whole.length; cut += 3) {
      Deno.writeFileSync(path, whole.subarray(0, cut));
      const kept = names.filter((_, i) => ends[i] <= cut);
      {
        using records = openRecords(path, "key");
        assertEquals(names.filter((n) => records.has(n)), kept, `${cut}`);
        for (const name of names) {
          if (!kept.includes(name)) records.add(name, A);
        }
      }
      assertEquals(Deno.readFileSync(path), whole, `cut at ${cut}`);
    }
  }),
);

Deno.test(
  "a flipped bit drops its record and what follows",
  withPath((path) => {
    {
      using records = openRecords(path, "key");
      records.add("a", A);
      records.add("b", A);
    }
    const bytes = Deno.readFileSync(path);
    bytes[bytes.length - 40] ^= 1; // in the body of "b"
    Deno.writeFileSync(path, bytes);
    using records = openRecords(path, "key");
    assertEquals([records.has("a"), records.has("b")], [true, false]);
  }),
);

Deno.test(
  "work of another key, a foreign file and a second process are refused, untouched",
  withPath((path) => {
    {
      using records = openRecords(path, "key");
      records.add("a", A);
      assertThrows(
        () => openRecords(path, "key"),
        RangeError,
        "another process",
      );
    }
    const before = Deno.readFileSync(path);
    assertThrows(
      () => openRecords(path, "other"),
      RangeError,
      'Cannot resume from "work.part": it belongs to a run with other inputs; remove it',
    );
    assertEquals(Deno.readFileSync(path), before);
    Deno.writeTextFileSync(path, "my own notes");
    assertThrows(
      () => openRecords(path, "key"),
      RangeError,
      "is not a progress file",
    );
    assertEquals(Deno.readTextFileSync(path), "my own notes");
  }),
);
