/**
 * Which files of a repository mquant reads.
 * @module
 */

/** Settings, tokenizer, templates: small files that say what a checkpoint is. */
export const SIDE_FILES =
  /^([^/]+\.(json|jinja|tiktoken|model)|additional_chat_templates\/[^/]+\.jinja|merges\.txt|vocab\.txt)$/;

/** Licence and model card. */
const PAPERS = /^(README\.md|LICENSE[^/]*)$/;

/**
 * Selects the files of a repository to download: those that mquant reads, licence and
 * model card. Other copies of the weights (`consolidated.safetensors`, adapters) are
 * left out if there are files with the usual names.
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
