/** Entry point of a page's worker in the test of equal bits. */
import { bytesSource } from "../../src/format/source.ts";
import type { Build } from "../../src/kernels/load.ts";
import { logitsHash } from "../../tools/logits_hash.ts";

/** The worker's side of the global scope, which the library types do not name. */
const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<[string, Build, number]>) => void;
  postMessage(message: string[]): void;
};

scope.onmessage = async ({ data: [url, build, threads] }) => {
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  scope.postMessage(
    await logitsHash(bytesSource(bytes), build, threads),
  );
};
