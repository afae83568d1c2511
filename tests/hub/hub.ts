/**
 * A local hub with the addresses, redirects, ranges and errors of the Hugging Face
 * hub, and with faults on request.
 * @module
 */
import { createHash } from "node:crypto";

/** The commit that `main` names. */
export const COMMIT = "5f0c8ef65d3df21a7ad9a4b3c3e7f1b1ac7e0d42";

/** What goes wrong. */
export interface Faults {
  /** Break the line of a file after so many bytes, so many times. */
  cut?: { after: number; times: number };
  /** Send other bytes than the hash tells. */
  corrupt?: boolean;
  /** Names to list beside the files. */
  evil?: readonly string[];
}

/** A running hub. */
export interface Hub extends AsyncDisposable {
  /** Its address. */
  readonly url: string;
  /** `METHOD path range` of each request. */
  readonly asked: string[];
  readonly faults: Faults;
}

/** Files by path. */
type Files = Readonly<Record<string, Uint8Array>>;

/**
 * Serves `files` as the repository `owner/name`; large ones as LFS. `gated` wants a token.
 * @param others further repositories, OWNER/NAME → their files
 */
export function serveHub(
  files: Files,
  others: Readonly<Record<string, Files>> = {},
): Hub {
  const asked: string[] = [], faults: Faults = {};
  const large = (bytes: Uint8Array) => bytes.length > 1000;
  const entry = ([path, bytes]: [string, Uint8Array]) => {
    const { length: size } = bytes;
    const sha1 = createHash("sha1").update(`blob ${size}\0`).update(bytes);
    const oid = sha1.digest("hex");
    const lfs = { oid: sha256(bytes), size, pointerSize: 134 };
    return { type: "file", oid, size, path, ...(large(bytes) ? { lfs } : {}) };
  };
  const listed = (files: Files) => [
    { type: "directory", oid: "0".repeat(40), size: 0, path: "onnx" },
    ...Object.entries(files).map(entry),
    ...(faults.evil ?? []).map((path) => ({
      ...entry(Object.entries(files)[0]),
      path,
    })),
  ];
  const error = (status: number, code: string) =>
    Response.json({ error: code }, {
      status,
      headers: { "X-Error-Code": code },
    });

  /** Bytes of a large file, by its path, behind the repository's name where it is another one. */
  function storedAt(place: string): Uint8Array | undefined {
    if (Object.hasOwn(files, place)) return files[place];
    for (const [repo, some] of Object.entries(others)) {
      const path = place.slice(repo.length + 1);
      if (place.startsWith(`${repo}/`) && Object.hasOwn(some, path)) {
        return some[path];
      }
    }
    return undefined;
  }

  function answer(request: Request): Response {
    const { pathname, searchParams, origin } = new URL(request.url);
    const range = request.headers.get("range");
    asked.push([request.method, pathname, range].filter(Boolean).join(" "));
    const api = /^\/api\/models\/([\w-]+\/[\w-]+)\/(.*)$/.exec(pathname);
    const file = /^\/([\w-]+\/[\w-]+)\/resolve\/(\w+)\/(.*)$/.exec(pathname);
    const [, repo = "", rest] = api ?? file ?? [];
    const own = ["owner/name", "owner/gated"].includes(repo);
    const here = own ? files : others[repo] ?? {};
    if (repo !== "" && !own && !(repo in others)) {
      return error(404, "RepoNotFound");
    }
    const token = request.headers.get("authorization");
    if (repo === "owner/gated" && token !== "Bearer hf_right") {
      return error(401, "GatedRepo");
    }
    if (api && rest === "revision/main") {
      const lastModified = "2026-11-01T00:00:00.000Z";
      return Response.json({ _id: "1", id: repo, sha: COMMIT, lastModified });
    }
    if (api && rest === `tree/${COMMIT}`) {
      // Two pages, as the real one does with many files.
      const all = listed(here), half = Math.ceil(all.length / 2);
      const second = searchParams.get("cursor") === "2";
      const next = `<${origin}${pathname}?recursive=true&cursor=2>; rel="next"`;
      return Response.json(
        second ? all.slice(half) : all.slice(0, half),
        second ? {} : { headers: { Link: next } },
      );
    }
    if (file && file[2] === COMMIT && Object.hasOwn(here, file[3])) {
      const bytes = here[file[3]], tag = `"${sha256(bytes)}"`;
      if (!large(bytes)) return ranged(bytes, range, tag);
      const place = own ? file[3] : `${repo}/${file[3]}`;
      return new Response(null, {
        status: 302,
        headers: {
          location: `${origin}/cdn/${place}`,
          "X-Linked-ETag": tag,
          "X-Linked-Size": `${bytes.length}`,
        },
      });
    }
    const stored = storedAt(/^\/cdn\/(.*)$/.exec(pathname)?.[1] ?? "");
    if (stored) {
      const bytes = faults.corrupt ? stored.map((b) => b ^ 1) : stored;
      return ranged(bytes, range, `"${sha256(stored)}"`, faults);
    }
    return error(404, "RepoNotFound");
  }

  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, onError },
    answer,
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    asked,
    faults,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function onError(error: unknown): Response {
  return new Response(String(error), { status: 500 });
}

/** Bytes of a range, or all; broken off where a fault says so. */
function ranged(
  bytes: Uint8Array,
  range: string | null,
  etag: string,
  faults: Faults = {},
): Response {
  const [, from = "0", to = ""] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  const begin = Number(from), end = to === "" ? bytes.length : Number(to) + 1;
  const body = bytes.slice(begin, end);
  const headers = {
    etag,
    "accept-ranges": "bytes",
    "content-length": `${body.length}`,
    "content-range": `bytes ${begin}-${
      begin + body.length - 1
    }/${bytes.length}`,
  };
  const { cut } = faults;
  if (cut && cut.times > 0 && body.length > cut.after) {
    cut.times--;
    let sent = false;
    const broken = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        if (sent) return controller.error(new Error("the line broke"));
        sent = true;
        controller.enqueue(body.slice(0, cut.after));
      },
    });
    return new Response(broken, { status: 206, headers });
  }
  return new Response(body, { status: 206, headers });
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
