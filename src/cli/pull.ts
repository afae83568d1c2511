/**
 * `pull`: downloads a checkpoint or a model file from a hub.
 * @module
 */
import { globToRegExp, join } from "@std/path";
import { folderFiles } from "../convert/side_files.ts";
import { writeAll, writeAtomically } from "../format/atomic_write.ts";
import { command } from "./command.ts";
import { download, type HubFile, isWhole, placeOf } from "./download.ts";
import { EXIT, UsageError } from "./errors.ts";
import type { Repository } from "./hub.ts";
import { HUB_OPTIONS, isRepository } from "./hub_options.ts";
import { dim, type Io, printable, quiet } from "./io.ts";
import { needed } from "./needed.ts";
import { progress } from "./progress.ts";
import { bytes, count } from "./table.ts";

/** A record of the download, stored beside the files; `--offline` reads it. */
interface Manifest {
  readonly repository: string;
  readonly revision: string;
  /** The commit of the revision. */
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** Name of the manifest. */
const MANIFEST = "pulled.json";

/** Attempts per file; each resumes the previous one. */
const TRIES = 4;

export default command({
  name: "pull",
  summary: "download a checkpoint or a model file from Hugging Face",
  operands: "OWNER/NAME [FILE...]",
  arity: [1, 64],
  options: {
    to: {
      type: "string",
      value: "FOLDER",
      help: "folder to download to; default: models/NAME",
    },
    offline: {
      type: "boolean",
      help:
        "do not use the network: verify that the files are present and complete",
    },
    force: {
      type: "boolean",
      help: "download also what `check` says mquant cannot use",
    },
    ...HUB_OPTIONS,
    json: { type: "boolean", help: "print one JSON object" },
    quiet: { type: "boolean", help: "print only errors on stderr" },
  },
  notes:
    `Without FILE, pull downloads the files that mquant reads (safetensors, JSON, vocabulary, chat
template), the README and the licence: small files first, then it checks as \`check\` does whether
the checkpoint can be quantized, then the weights. FILE may be a pattern such as "*.gguf". Files
are verified against the hub's hashes. The same command resumes an interrupted download. Read the
licence of what you download.`,
  permissions:
    "--allow-read --allow-write=FOLDER --allow-net (not with --offline)",
  async run([name, ...patterns], values, mainIo) {
    const io = values.quiet ? quiet(mainIo) : mainIo;
    if (!isRepository(name)) {
      throw new UsageError(
        `Cannot pull ${
          JSON.stringify(name)
        }: it must be OWNER/NAME, such as HuggingFaceTB/SmolVLM-256M-Instruct`,
      );
    }
    const folder = values.to ?? join("models", name.split("/")[1]);
    if (values.offline) {
      const manifest = readManifest(folder, name);
      check(folder, manifest);
      return report(folder, manifest, 0, values.json, mainIo);
    }
    const { repository } = await import("./hub.ts"); // megabytes, here alone
    const hub = repository(name, values, io.signal);
    const commit = await hub.commit();
    const listed = await hub.files(commit), whole = patterns.length === 0;
    const wanted = whole
      ? needed(listed.map(({ path }) => path))
      : (path: string) =>
        patterns.some((p) => path === p || globToRegExp(p).test(path));
    const files = listed
      .filter(({ path }) => path !== MANIFEST && wanted(path))
      .sort((a, b) => weightsLast(a) - weightsLast(b));
    if (files.length === 0) {
      const what = patterns.length > 0
        ? patterns.map((p) => JSON.stringify(p)).join(", ")
        : "safetensors or JSON file";
      throw new Error(
        `Cannot pull ${name}: it has no ${what}; see its list of files on the hub`,
      );
    }
    // Only a checkpoint is checked: what has a config.json.
    const config = whole
      ? files.find(({ path }) => path === "config.json")
      : undefined;
    const ask = (repo: string) =>
      repository(repo, { ...values, revision: "main" }, io.signal);
    const wantedFiles = [
      ...(config ? await elsewhere(hub, commit, config, folder, ask) : []),
      ...files.map((file) => ({
        file,
        bytes: (offset: number) => hub.bytes(file.path, commit, offset),
      })),
    ];
    const fetched = await downloadAll(
      wantedFiles,
      folder,
      io,
      `pull ${name}`,
      config && !values.force
        ? () => refuseUnsupported(hub, name, commit, listed, folder)
        : undefined,
    );
    const manifest: Manifest = {
      repository: name,
      revision: values.revision,
      commit,
      files: wantedFiles.map(({ file }) => file),
    };
    const text = new TextEncoder().encode(
      `${JSON.stringify(manifest, null, 2)}\n`,
    );
    writeAtomically(join(folder, MANIFEST), (file) => writeAll(file, text));
    return report(folder, manifest, fetched, values.json, mainIo);
  },
});

/** A file to download. */
interface Wanted {
  /** Its path is that in the folder. */
  readonly file: HubFile;
  bytes(offset: number): Promise<ReadableStream<Uint8Array>>;
}

/** A tokenizer that the family keeps in another repository. */
async function elsewhere(
  hub: Repository,
  commit: string,
  config: HubFile,
  folder: string,
  ask: (repository: string) => Repository,
): Promise<Wanted[]> {
  const { otherTokenizer, readWhole } = await import("./hub_check.ts");
  const here = placeOf(folder, config.path);
  const bytes = isWhole(here, config)
    ? Deno.readFileSync(here)
    : await readWhole(hub, config, commit);
  const other = await otherTokenizer(bytes, ask);
  if (!other) return [];
  const { file, place } = other;
  return [{
    file: { ...file, path: place },
    bytes: (offset) => other.hub.bytes(file.path, other.commit, offset),
  }];
}

/**
 * Downloads what is not whole, and returns how many files that were.
 * @param check runs before the first weights
 */
async function downloadAll(
  wanted: readonly Wanted[],
  folder: string,
  io: Io,
  label: string,
  check?: () => Promise<void>,
): Promise<number> {
  const total = wanted.reduce((sum, { file }) => sum + file.size, 0);
  const line = progress(io, label, wanted.length);
  const first = wanted.findIndex(({ file }) => weightsLast(file));
  let before = 0, fetched = 0;
  for (const [i, { file, bytes: from }] of wanted.entries()) {
    if (i === first) await check?.();
    const path = placeOf(folder, file.path);
    const shown = `${printable(file.path)}, ${bytes(total)} in all`;
    if (!isWhole(path, file)) {
      fetched++;
      await patiently(io, () =>
        download(
          path,
          file,
          from,
          (arrived) =>
            line.at(i, shown, (before + arrived) / Math.max(1, total)),
        ));
    }
    before += file.size;
    line.at(i + 1, shown, before / Math.max(1, total));
  }
  if (first < 0) await check?.();
  line.end();
  return fetched;
}

/** 1 of weights, 0 of others. */
const weightsLast = ({ path }: HubFile) => Number(/\.safetensors$/.test(path));

/** Throws where `check` says that a checkpoint, whose side files are here, cannot be quantized. */
async function refuseUnsupported(
  hub: Repository,
  name: string,
  commit: string,
  listed: readonly HubFile[],
  folder: string,
): Promise<void> {
  const { weightsOnHub } = await import("./hub_check.ts");
  const { checkFiles } = await import("../convert/check.ts");
  const files = folderFiles(folder);
  const see = await weightsOnHub(hub, name, commit, listed, files);
  const { reason } = await checkFiles(files, see, { time: false });
  if (reason === undefined) return;
  throw new Error(
    `${reason} (the weights were not downloaded; --force downloads them)`,
  );
}

function report(
  folder: string,
  { repository, commit, files }: Manifest,
  fetched: number,
  json: boolean,
  io: Io,
): number {
  const size = files.reduce((sum, f) => sum + f.size, 0);
  io.out(
    json
      ? `${JSON.stringify({ repository, commit, folder, fetched, files })}\n`
      : `${folder}: ${count(files.length, "file")}, ${
        bytes(size)
      }, of ${repository} at ${commit.slice(0, 12)}\n`,
  );
  return EXIT.ok;
}

/** Retries after network errors; received bytes are kept. */
async function patiently(io: Io, work: () => Promise<void>) {
  for (let n = 1;; n++) {
    try {
      return await work();
    } catch (error) {
      io.signal.throwIfAborted();
      const broke = error instanceof TypeError ||
        error instanceof Deno.errors.Http ||
        error instanceof Error && /it ended after/.test(error.message);
      if (!broke || n === TRIES) throw error;
      io.err(dim(`the line broke, trying again (${n} of ${TRIES - 1})`));
      await new Promise((done) => setTimeout(done, 250 * 2 ** n));
    }
  }
}

function readManifest(folder: string, name: string): Manifest {
  const path = join(folder, MANIFEST);
  let manifest: Manifest | undefined;
  try {
    manifest = JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound ||
      error instanceof SyntaxError;
    if (!missing) throw error;
  }
  if (manifest?.repository === name && Array.isArray(manifest.files)) {
    return manifest;
  }
  throw new Error(
    `Cannot find ${name} offline: ${
      JSON.stringify(path)
    } does not list it; pull it once without --offline`,
  );
}

function check(folder: string, { files }: Manifest) {
  const bad = files.filter((file) =>
    !isWhole(placeOf(folder, file.path), file)
  );
  if (bad.length === 0) return;
  throw new Error(
    `Cannot use ${JSON.stringify(folder)} offline: ${
      bad.map(({ path }) => JSON.stringify(path)).join(", ")
    } missing or damaged; pull again without --offline`,
  );
}
