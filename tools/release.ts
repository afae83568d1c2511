/**
 * `deno task release`: hashes of a release's files, signed.
 *
 *     deno task release --new-key release.pem    a key pair: release.pem, release.pub
 *     deno task release --sign release.pem       writes dist/release/
 *     deno task release --check --key release.pub
 *
 * dist/release/ contains SHA256SUMS, which `sha256sum --check` reads, sbom.json, and
 * a signature of each: Ed25519, 64 bytes, which openssl verifies too. The private key
 * stays with the maintainers; the public key is published.
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { writeAll, writeAtomically } from "../src/format/atomic_write.ts";
import { cycloneDx, packagesIn } from "./sbom.ts";

/** Files and folders of a release. */
const RELEASED = [
  ...["src", "kernels", "models/photo-mini", "tools/std"],
  ...["deno.json", "deno.lock", "README.md", "SECURITY.md", "LICENSE"],
];
/** What is written, and signed. */
const SIGNED = ["SHA256SUMS", "sbom.json"] as const;
const FOLDER = "dist/release";

/** Paths of all files of a release that are below `root`, by name. */
export function releasedFiles(root: string): string[] {
  const walk = (path: string): string[] =>
    !existsSync(`${root}/${path}`)
      ? []
      : Deno.lstatSync(`${root}/${path}`).isDirectory
      ? [...Deno.readDirSync(`${root}/${path}`)]
        .filter(({ name }) => !name.startsWith("."))
        .flatMap(({ name }) => walk(`${path}/${name}`))
      : [path];
  return RELEASED.flatMap(walk).sort((a, b) => a < b ? -1 : 1);
}

const sha256 = (path: string) =>
  createHash("sha256").update(Deno.readFileSync(path)).digest("hex");

/** The lines of SHA256SUMS. */
export function sums(root: string): string {
  return releasedFiles(root)
    .map((path) => `${sha256(`${root}/${path}`)}  ${path}\n`).join("");
}

/** How the files below `root` differ from `text`, a SHA256SUMS; a line each. */
export function differences(root: string, text: string): string[] {
  const listed = new Map(
    text.trimEnd().split("\n").map((line) => {
      const [, hash, path] = /^([0-9a-f]{64}) {2}(.+)$/.exec(line) ?? [];
      return [path, hash];
    }),
  );
  const found = releasedFiles(root);
  return [
    ...[...listed.keys()].filter((path) => !found.includes(path))
      .map((path) => `${path} is missing`),
    ...found.flatMap((path) => {
      const hash = listed.get(path);
      if (hash === undefined) return [`${path} does not belong to it`];
      return hash === sha256(`${root}/${path}`) ? [] : [`${path} differs`];
    }),
  ];
}

/** DER between the lines of a PEM file. */
function der(path: string, label: string): Uint8Array<ArrayBuffer> {
  const text = Deno.readTextFileSync(path);
  const [, body] = RegExp(
    `-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`,
  ).exec(text) ?? [];
  if (body !== undefined) return Uint8Array.fromBase64(body);
  throw new Error(
    `Cannot read ${path} as a key: it has no ${label}; --new-key makes a pair`,
  );
}

function pem(label: string, bytes: ArrayBuffer): string {
  const lines = new Uint8Array(bytes).toBase64().match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${
    lines.join("\n")
  }\n-----END ${label}-----\n`;
}

/** Makes a key pair: the private half in `path`, readable by its owner only, the public one beside it. */
export async function newKey(path: string): Promise<string> {
  const open = path.replace(/\.pem$/, "") + ".pub";
  const pair = await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const { subtle } = crypto;
  const halves = [
    [
      path,
      "PRIVATE KEY",
      await subtle.exportKey("pkcs8", pair.privateKey),
      0o600,
    ],
    [open, "PUBLIC KEY", await subtle.exportKey("spki", pair.publicKey), 0o644],
  ] as const;
  for (const [file, label, bytes, mode] of halves) {
    Deno.writeTextFileSync(file, pem(label, bytes), { createNew: true, mode });
  }
  return open;
}

/** Writes SHA256SUMS and sbom.json of `root` into `folder`, each with its signature. */
export async function sign(
  root: string,
  folder: string,
  privateKey: string,
): Promise<void> {
  const missing = RELEASED.find((path) => !existsSync(`${root}/${path}`));
  if (missing) throw new Error(`Cannot release: there is no ${missing}`);
  const key = await crypto.subtle.importKey(
    "pkcs8",
    der(privateKey, "PRIVATE KEY"),
    "Ed25519",
    false,
    ["sign"],
  );
  const texts = {
    "SHA256SUMS": sums(root),
    "sbom.json": `${JSON.stringify(cycloneDx(packagesIn(root)), null, 1)}\n`,
  };
  Deno.mkdirSync(folder, { recursive: true });
  for (const name of SIGNED) {
    const bytes = new TextEncoder().encode(texts[name]);
    const signature = await crypto.subtle.sign("Ed25519", key, bytes);
    const write = (path: string, content: Uint8Array) =>
      writeAtomically(`${folder}/${path}`, (file) => writeAll(file, content));
    write(name, bytes);
    write(`${name}.sig`, new Uint8Array(signature));
  }
}

/** What is wrong with the release in `folder`, or with the files of `root`; nothing where all is as `publicKey`'s owner signed it. */
export async function check(
  root: string,
  folder: string,
  publicKey: string,
): Promise<string[]> {
  const key = await crypto.subtle.importKey(
    "spki",
    der(publicKey, "PUBLIC KEY"),
    "Ed25519",
    false,
    ["verify"],
  );
  for (const name of SIGNED) {
    const signature = Deno.readFileSync(`${folder}/${name}.sig`);
    const bytes = Deno.readFileSync(`${folder}/${name}`);
    if (!await crypto.subtle.verify("Ed25519", key, signature, bytes)) {
      return [`${folder}/${name} was not signed with the key of ${publicKey}`];
    }
  }
  return differences(root, Deno.readTextFileSync(`${folder}/SHA256SUMS`));
}

async function main(): Promise<number> {
  const string = { type: "string" } as const,
    flag = { type: "boolean" } as const;
  const { values } = parseArgs({
    options: { "new-key": string, sign: string, check: flag, key: string },
  });
  if (values["new-key"] !== undefined) {
    const open = await newKey(values["new-key"]);
    console.log(`${values["new-key"]} stays with you; publish ${open}`);
  } else if (values.sign !== undefined) {
    await sign(".", FOLDER, values.sign);
    console.log(`${FOLDER}/ holds ${SIGNED.join(", ")} and their signatures`);
  } else if (values.check && values.key !== undefined) {
    const wrong = await check(".", FOLDER, values.key);
    for (const line of wrong) console.error(line);
    if (wrong.length > 0) return 1;
    console.log("all files are as they were signed");
  } else {
    console.error(
      "Cannot release: give --new-key FILE, --sign FILE, or --check --key FILE",
    );
    return 2;
  }
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    const { message } = error as Error;
    console.error(
      message.startsWith("Cannot ") ? message : `Cannot release: ${message}`,
    );
    Deno.exit(1);
  }
}
