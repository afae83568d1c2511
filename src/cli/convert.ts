/**
 * `convert OLD NEW`: converts a model file of version 1 to the current version,
 * without its checkpoint.
 * @module
 */
import { convertFile } from "../convert/version1.ts";
import { sweep } from "../format/atomic_write.ts";
import { statOf } from "../format/stat.ts";
import { command } from "./command.ts";
import { EXIT, UsageError } from "./errors.ts";

export default command({
  name: "convert",
  summary: "convert a model file from format mquant/1 to mquant/2",
  operands: "OLD NEW",
  arity: [2, 2],
  options: {
    force: { type: "boolean", help: "overwrite NEW if it exists" },
  },
  notes: `Example:
  mquant convert old.w4a8.safetensors new.w4a8.safetensors

OLD is verified against its checksums and not changed. NEW contains the same
weights and scales under the names of mquant/2 and gives bit-identical answers.
It needs as much disk space as OLD and little memory. A crash leaves no partial
NEW.`,
  permissions: "--allow-read --allow-write",
  interrupt: "kill",
  async run([from, to], { force }, io) {
    const there = statOf(to);
    if (there && isSame(there, statOf(from))) {
      throw new UsageError(
        `Cannot convert ${
          JSON.stringify(from)
        }: NEW is the same file; give it another name`,
      );
    }
    if (there && !force) {
      throw new UsageError(
        `Cannot convert ${JSON.stringify(from)}: ${
          JSON.stringify(to)
        } exists; give another name, or add --force to overwrite it`,
      );
    }
    if (there && !there.isFile) {
      throw new UsageError(
        `Cannot convert ${JSON.stringify(from)}: ${
          JSON.stringify(to)
        } is not a file; give the path of a file`,
      );
    }
    const { tensors, renamed } = await convertFile(from, to);
    sweep(to);
    io.err(
      `${to}: ${tensors} tensors, ${renamed} of them renamed; ${from} is unchanged`,
    );
    return EXIT.ok;
  },
});

/** Whether two paths are the same file, also through links. */
function isSame(a: Deno.FileInfo, b: Deno.FileInfo | undefined): boolean {
  return b !== undefined && a.ino !== null && a.ino === b.ino &&
    a.dev === b.dev;
}
