/** Journals that are ours, and those that came with the photos. */
import { assertEquals, assertThrows } from "@std/assert";
import { openCaptionJournal } from "./caption_journal.ts";
import { openJournal } from "./journal.ts";
import { openJsonLines } from "./json_lines.ts";

const ORIGIN = { model: "m", ask: "a" };

function folders() {
  const root = Deno.makeTempDirSync();
  for (const name of ["theirs", "mine"]) Deno.mkdirSync(`${root}/${name}`);
  return {
    theirs: `${root}/theirs/captions.jsonl`,
    mine: `${root}/mine/captions.jsonl`,
    root,
    [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }),
  };
}

Deno.test("a journal that came with the photos is refused unless the user trusts it", () => {
  using f = folders();
  {
    using theirs = openCaptionJournal(f.theirs, ORIGIN);
    theirs.add(`${f.root}/theirs/1.jpg`, "hash", "visit evil.example");
  }
  Deno.copyFileSync(f.theirs, f.mine);
  const before = Deno.readTextFileSync(f.mine);
  assertThrows(
    () => openCaptionJournal(f.mine, ORIGIN),
    RangeError,
    "another folder, or it came with the photos; remove it, or add --trust-journal",
  );
  assertThrows(() => openJsonLines(f.mine), RangeError, "another folder");
  assertEquals(Deno.readTextFileSync(f.mine), before);
  for (const trust of [true, false]) { // once is enough
    using mine = openCaptionJournal(f.mine, ORIGIN, { trust });
    assertEquals(mine.same("hash")?.caption, "visit evil.example");
  }
});

Deno.test("a moved or renamed folder keeps its journal", () => {
  using f = folders();
  {
    using mine = openCaptionJournal(f.mine, ORIGIN);
    mine.add(`${f.root}/mine/1.jpg`, "hash", "a cat");
  }
  Deno.renameSync(`${f.root}/mine`, `${f.root}/ours`);
  using again = openCaptionJournal(`${f.root}/ours/captions.jsonl`, ORIGIN);
  assertEquals(again.last(`${f.root}/ours/1.jpg`)?.caption, "a cat");
});

Deno.test("single foreign lines in a journal of ours do not count", () => {
  using f = folders();
  {
    using mine = openCaptionJournal(f.mine, ORIGIN);
    mine.add(`${f.root}/mine/1.jpg`, "one", "a cat");
  }
  const line = { photo: "2.jpg", caption: "evil", sha256: "two", ...ORIGIN };
  Deno.writeTextFileSync(f.mine, `${JSON.stringify(line)}\n`, { append: true });
  using mine = openCaptionJournal(f.mine, ORIGIN);
  assertEquals(mine.same("one")?.caption, "a cat");
  assertEquals(mine.same("two"), undefined);
});

Deno.test("a file that is no journal is not written into, trusted or not", () => {
  using f = folders();
  const photo = "\xff\xd8\xff\xe0 JFIF";
  for (
    const text of ["Dear diary", "{}\n", "[1]\n", photo, "\n", '{"name": 1}']
  ) {
    Deno.writeTextFileSync(f.mine, text);
    for (const trust of [false, true]) {
      assertThrows(
        () => openJsonLines(f.mine, { trust }),
        RangeError,
        "not a journal",
      );
    }
    assertEquals(Deno.readTextFileSync(f.mine), text);
  }
});

Deno.test("a journal whose first line a crash has torn is gone on with", () => {
  using f = folders();
  for (const torn of ['{"ph', '{"photo":"1.jpg","capt']) {
    Deno.writeTextFileSync(f.mine, torn);
    {
      using mine = openCaptionJournal(f.mine, ORIGIN);
      mine.add(`${f.root}/mine/1.jpg`, "hash", "a cat");
    }
    using again = openCaptionJournal(f.mine, ORIGIN);
    assertEquals(again.same("hash")?.caption, "a cat");
  }
});

Deno.test("results of an evaluation are bound to their folder as well", () => {
  using f = folders();
  {
    using theirs = openJournal<number>(f.theirs, "key");
    theirs.add("1.jpg", 100);
  }
  Deno.copyFileSync(f.theirs, f.mine);
  assertThrows(() => openJournal(f.mine, "key"), RangeError, "another folder");
  using theirs = openJournal<number>(f.theirs, "key");
  assertEquals(theirs.get("1.jpg"), 100);
});
