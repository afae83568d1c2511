/** Every exported name has an example, which `deno test --doc` runs. */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";

interface Symbol {
  readonly name: string;
  readonly declarations: readonly {
    readonly jsDoc?: { readonly doc?: string };
  }[];
}

Deno.test("every exported name of src/mod.ts has a runnable example", async () => {
  const { stdout } = await new Deno.Command("deno", {
    args: ["doc", "--json", "src/mod.ts"],
    cwd: fromFileUrl(new URL("../", import.meta.url)),
  }).output();
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout));
  const symbols = (Object.values(nodes)[0] as { symbols: Symbol[] }).symbols;
  const without = symbols.filter(({ declarations }) =>
    !declarations.some(({ jsDoc }) => /^```ts$/m.test(jsDoc?.doc ?? ""))
  );
  assertEquals(without.map((s) => s.name), []);
  assertEquals(symbols.length > 25, true);
});
