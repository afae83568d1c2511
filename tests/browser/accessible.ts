/**
 * Accessibility problems of a page that axe-core finds: names, roles, contrast,
 * structure.
 * @module
 */
import axe from "axe-core";
import type { Page } from "playwright-core";

/** Each violation in a line, with the first element it concerns. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate<string[]>(
    `axe.run(document, { preload: false }).then(({ violations }) =>
    violations.map(({ id, help, nodes: [{ html }] }) => \`\${id}: \${help}: \${html}\`))`,
  );
}
