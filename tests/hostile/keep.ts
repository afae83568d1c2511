/**
 * Keeps what fuzzing found: `deno run -A tests/hostile/keep.ts REPORT...` writes
 * the input of each finding of a report to files/, under the code of the error
 * it gets now that it is mended ("read" where it is read).
 * @module
 */
import type { Finding } from "../fuzz/attack.ts";
import { codeOf } from "../fuzz/target.ts";
import { FILES, readerOf } from "./corpus.ts";

for (const path of Deno.args) {
  const { findings } = JSON.parse(Deno.readTextFileSync(path));
  for (const { target, seed, index, input } of findings as Finding[]) {
    const bytes = Uint8Array.fromBase64(input);
    let code = "read";
    try {
      await readerOf(target).read(bytes);
    } catch (error) {
      code = codeOf(error);
    }
    Deno.mkdirSync(new URL(`${target}/`, FILES), { recursive: true });
    const name = `${target}/${code}--found-${seed}-${index}`;
    Deno.writeFileSync(new URL(encodeURI(name), FILES), bytes);
    console.log(name);
  }
}
