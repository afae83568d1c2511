/** The lint of src/: files and trees that it must refuse or accept. */
import { assertEquals } from "@std/assert";
import { cycleThrough, importsOf } from "./lint_imports.ts";
import plugin, {
  FILE_LINES,
  FUNCTION_LINES,
  roomOf,
  uphill,
} from "./lint_rooms.ts";

/** Rules broken by `code` in a file of that name. */
const broken = (file: string, code: string) =>
  Deno.lint.runPlugin(plugin, `/tree/src/${file}`, code).map((d) => d.id);

Deno.test("rooms: every way to import from the right is seen, the same from the left is not", () => {
  const ways = [
    (to: string) => `import { a } from "${to}";`,
    (to: string) => `import type { A } from "${to}";`,
    (to: string) => `export { a } from "${to}";`,
    (to: string) => `export * from "${to}";`,
    (to: string) => `const a = await import("${to}");`,
    (to: string) => `type A = import("${to}").A;`,
    (to: string) => `new Worker(new URL("${to}", import.meta.url));`,
    (to: string) => `import.meta.resolve("${to}");`,
  ];
  for (const way of ways) {
    const code = way("../plan/plan.ts");
    assertEquals(broken("graph/a.ts", code), ["mquant/rooms"], code);
    assertEquals(broken("execute/a.ts", code), [], code);
    assertEquals(broken("plan/a.ts", way("./plan.ts")), []);
    assertEquals(broken("graph/a.ts", way("../mod.ts")), ["mquant/rooms"]);
    assertEquals(broken("cli/a.ts", way("../mod.ts")), []);
    assertEquals(broken("cli/a.ts", way("../parlour/a.ts")), ["mquant/rooms"]);
  }
  assertEquals(
    broken("graph/a.ts", 'new URL("../../models/", import.meta.url);'),
    [],
  );
});

Deno.test("rooms: names of files outside the rooms have none", () => {
  assertEquals(roomOf("/a/src/graph/ops/b.ts"), "graph");
  assertEquals(roomOf("C:\\a\\src\\cli\\b.ts"), "cli");
  assertEquals(roomOf("/a/src/mod.ts"), "session");
  assertEquals(roomOf("/a/tools/mod.ts"), undefined);
  assertEquals(uphill(undefined, "cli"), undefined);
});

Deno.test("size: long files, and long functions without a reason", () => {
  const body = "  f();\n".repeat(FUNCTION_LINES - 2);
  const forms = [
    ["function f() {\n", "}"],
    ["export const f = () => {\n", "};"],
    ["class C {\nm() {\n", "}\n}"],
    ["export default { async run() {\n", "} };"],
  ];
  for (const [head, tail] of forms) {
    const long = `${head}${body}  f();\n${tail}`;
    assertEquals(broken("plan/a.ts", `${head}${body}${tail}`), [], head);
    assertEquals(broken("plan/a.ts", long), ["mquant/size"], head);
    assertEquals(Deno.lint.runPlugin(plugin, "/tree/tools/a.ts", long), []);
  }
  const long = `function f() {\n${body}  f();\n}`;
  const reason = "// long because a parser has one position";
  assertEquals(broken("plan/a.ts", `${reason}\n${long}`), []);
  assertEquals(broken("plan/a.ts", `${reason}\n/** Doc. */\n${long}`), []);
  assertEquals(broken("plan/a.ts", `${reason}\nf();\n${long}`), [
    "mquant/size",
  ]);
  assertEquals(broken("plan/a.ts", `// long because\n${long}`), [
    "mquant/size",
  ]);
  assertEquals(broken("plan/a.ts", "f();\n".repeat(FILE_LINES)), []);
  assertEquals(broken("plan/a.ts", "f();\n".repeat(FILE_LINES + 1)), [
    "mquant/size",
  ]);
});

Deno.test("imports: statements, types and expressions count; comments and texts do not", () => {
  const text = `/**
 * import { no } from "./no.ts";
 */
import { a } from "./a.ts";
import type {
  B,
} from "../b.ts";
import "./side.ts";
import json from "./c.json" with { type: "json" };
export { d } from "./d.ts";
export const x = "./no.ts";
// await import("./no.ts")
const e = () => import("./e.ts");
type F = import("./f.ts").F;
const w = new URL("./w.ts", import.meta.url);
import { z } from "@std/assert";
`;
  assertEquals(
    importsOf(text),
    [
      ...["./a.ts", "../b.ts", "./side.ts", "./c.json", "./d.ts"],
      ...["./e.ts", "./f.ts", "./w.ts"],
    ],
  );
});

Deno.test("cycles: found through types, workers and other rooms, the shortest; a tree has none", () => {
  const cycle = (at: string, tree: Record<string, string>) =>
    cycleThrough(at, (path) => tree[path]);
  const tree = {
    "/a.ts": 'import { b } from "./b.ts";',
    "/b.ts": 'import type { C } from "./c.ts";\nimport { d } from "./d.ts";',
    "/c.ts": 'import "./d.ts";',
    "/d.ts": "",
  };
  for (const at of Object.keys(tree)) assertEquals(cycle(at, tree), undefined);
  const back = { ...tree, "/d.ts": 'new URL("./b.ts", import.meta.url);' };
  assertEquals(cycle("/b.ts", back), ["/b.ts", "/d.ts", "/b.ts"]);
  assertEquals(cycle("/c.ts", back), ["/c.ts", "/d.ts", "/b.ts", "/c.ts"]);
  assertEquals(cycle("/a.ts", back), undefined);
  assertEquals(cycle("/s.ts", { "/s.ts": 'import "./s.ts";' }), [
    "/s.ts",
    "/s.ts",
  ]);
});
