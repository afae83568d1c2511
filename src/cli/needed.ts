/**
 * Which files of a repository mquant reads.
 * @module
 */

/** Settings, tokenizer, templates: small files that say what a checkpoint is. */
export const SIDE_FILES =
  /^([^/]+\.(json|jinja|tiktoken|model)|additional_chat_templates\/[^/]+\.jinja|merges\.txt|vocab\.txt)$/;

/** What says whose it is. */
const PAPERS = /^(README\.md|LICENSE[^/]*)$/;

/**
 * Of a repository's files those that mquant reads, and its papers. Weights are the
 * files of one model: other copies (`consolidated.safetensors`, adapters) are left
 * out where the usual names are there.
 */
export function needed(paths: readonly string[]): (path: string) => boolean {
  const weights = paths.filter((path) => /^[^/]+\.safetensors$/.test(path));
  const usual = weights.filter((path) =>
    /^model(-\d+-of-\d+)?\.safetensors$/.test(path)
  );
  const taken = new Set(usual.length > 0 ? usual : weights);
  return (path) =>
    SIDE_FILES.test(path) || PAPERS.test(path) || taken.has(path);
}
