import { assert, assertEquals, assertMatch } from "@std/assert";
import { COMMANDS, loadAll } from "./commands.ts";
import { completions } from "./completions.ts";
import type { Io } from "./io.ts";

async function script(shell: string): Promise<string> {
  let text = "";
  const io = { out: (t: string) => void (text += t) } as unknown as Io;
  await completions(loadAll).run([shell], {}, io);
  return text;
}

const installed = (shell: string) => {
  try {
    return new Deno.Command(shell, { args: ["--version"] }).outputSync()
      .success;
  } catch {
    return false;
  }
};

/** What bash offers where `words` are typed, the last one unfinished. */
async function offered(...words: string[]): Promise<string[]> {
  const { stdout, success } = await new Deno.Command("bash", {
    args: [
      "-c",
      `${await script("bash")}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mquant; printf '%s\\n' "\${COMPREPLY[@]}"`,
      "bash",
      ...words,
    ],
  }).output();
  assert(success);
  return new TextDecoder().decode(stdout).split("\n").filter((w) => w !== "");
}

Deno.test({
  name: "bash completes commands, options and values",
  ignore: !installed("bash"),
  async fn() {
    const all = await offered("mquant", "");
    for (const name of COMMANDS) assert(all.includes(name), name);
    assertEquals(await offered("mquant", "ca"), ["caption"]);
    assertEquals(await offered("mquant", "caption", "--side"), ["--sidecar"]);
    assertEquals(await offered("mquant", "completions", "f"), ["fish"]);
    const recipes = await offered("mquant", "quantize", "--recipe", "w4");
    assertEquals(recipes[0], "w4a8");
    assertEquals(await offered("mquant", "caption", "photo"), []); // files
  },
});

for (const shell of ["zsh", "fish"]) {
  Deno.test({
    name: `${shell} reads its completions (only where ${shell} is installed)`,
    ignore: !installed(shell),
    async fn() {
      const text = await script(shell);
      const load = shell === "zsh"
        ? `autoload -U compinit; compinit -D -u\n${text}\nwhence -w _mquant`
        : `${text}\ncomplete -C 'mquant caption --side'`;
      const { stdout, stderr } = await new Deno.Command(shell, {
        args: ["-c", load],
      }).output();
      const out = new TextDecoder().decode(stdout);
      assertEquals(new TextDecoder().decode(stderr), "");
      assertMatch(out, shell === "zsh" ? /_mquant: function/ : /--sidecar/);
    },
  });
}
