/**
 * A client of a model hub for `pull`: the commit of a revision, the files of a
 * commit with hashes, the bytes of a file from an offset on.
 * @module
 */
import {
  downloadFile,
  HubApiError,
  listFiles,
  modelInfo,
} from "@huggingface/hub";
import type { HubFile } from "./download.ts";
import { UsageError } from "./errors.ts";
import type { HubValues } from "./hub_options.ts";

/** A repository of a hub. Its errors are messages for users. */
export interface Repository {
  /** The commit of the revision. */
  commit(): Promise<string>;
  /** Its files, by path. */
  files(commit: string): Promise<HubFile[]>;
  /** Bytes of a file from `offset` on, up to `end` where it is given. */
  bytes(
    path: string,
    commit: string,
    offset: number,
    end?: number,
  ): Promise<ReadableStream<Uint8Array>>;
}

/**
 * Opens a repository of a hub; `signal` aborts its requests.
 * @param verb what is done with it, for messages
 */
export function repository(
  repo: string,
  values: HubValues,
  signal: AbortSignal,
  verb = "pull",
): Repository {
  const token = values["token-file"] === undefined
    ? undefined
    : Deno.readTextFileSync(values["token-file"]).split("\n")[0].trim();
  const common = {
    ...(values.hub ? { hubUrl: values.hub.replace(/\/+$/, "") } : {}),
    ...(token ? { accessToken: token } : {}),
    fetch: (input: URL | RequestInfo, init?: RequestInit) =>
      fetch(input, { ...init, signal }),
  };
  const asked = <T>(work: () => Promise<T>) =>
    work().catch((error) => {
      throw hubError(error, repo, values.revision, verb);
    });
  return {
    commit: () =>
      asked(async () => {
        const { revision } = values;
        const info = await modelInfo({
          ...common,
          name: repo,
          revision,
          additionalFields: ["sha"],
        });
        if (/^[0-9a-f]{40}$/.test(info.sha)) return info.sha;
        throw new Error(
          `Cannot ${verb} ${repo}: the hub returned no commit; try again later`,
        );
      }),
    files: (commit: string) =>
      asked(async () => {
        const files: HubFile[] = [];
        const listed = listFiles({
          ...common,
          repo,
          revision: commit,
          recursive: true,
        });
        for await (const { type, path, size, oid, lfs } of listed) {
          const hash = lfs?.oid ?? oid ?? "";
          if (type !== "file") continue;
          if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash)) {
            throw new Error(
              `Cannot ${verb} ${repo}: the hub returned no hash of ${
                JSON.stringify(path)
              }`,
            );
          }
          files.push({ path, size: lfs?.size ?? size, hash });
        }
        return files.sort((a, b) => a.path < b.path ? -1 : 1);
      }),
    bytes: (path: string, commit: string, offset: number, end?: number) =>
      asked(async () => {
        const blob = await downloadFile({
          ...common,
          ...{ repo, path, revision: commit, xet: false },
        });
        if (blob) return blob.slice(offset, end).stream();
        throw new Error(
          `Cannot ${verb} ${
            JSON.stringify(path)
          }: the hub no longer has it; run the same command again`,
        );
      }),
  };
}

function hubError(
  error: unknown,
  repo: string,
  revision: string,
  verb: string,
): unknown {
  if (error instanceof TypeError && /access token/i.test(error.message)) {
    return new UsageError(
      "Cannot ask the hub: an access token begins with hf_; check --token-file",
    );
  }
  if (!(error instanceof HubApiError)) return error;
  const { statusCode } = error;
  const what = `${repo} at ${JSON.stringify(revision)}`;
  if (statusCode === 404) {
    return new Error(
      `Cannot ${verb} ${what}: the hub has none; check the names`,
    );
  }
  if (statusCode === 401 || statusCode === 403) {
    return new Error(
      `Cannot ${verb} ${what}: the hub wants to know who asks, or there is none; accept its licence there, then give --token-file`,
    );
  }
  return new Error(
    `Cannot ${verb} ${what}: the hub answered ${statusCode}; try again later`,
  );
}
