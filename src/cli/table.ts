/**
 * Plain text tables.
 * @module
 */

/** Formats rows as lines; columns of numbers are right-aligned. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = rows[0]?.map((_, c) => rows.map((r) => r[c] ?? "")) ?? [];
  const widths = columns.map((cells) =>
    Math.max(...cells.map((s) => s.length))
  );
  const right = columns.map((cells) =>
    cells.slice(1).every((s) =>
      /^[-+]?[\d.,]*( ?[%a-zA-Z²/]{1,5})?$/.test(s) && /\d|^$/.test(s)
    )
  );
  return rows.map((row) =>
    row.map((cell, c) =>
      right[c] ? cell.padStart(widths[c]) : cell.padEnd(widths[c])
    ).join("  ").trimEnd() + "\n"
  ).join("");
}

/** A number with its noun, `1 file` or `2 files`. */
export function count(
  n: number,
  one: string,
  more: string = `${one}s`,
): string {
  return `${n} ${n === 1 ? one : more}`;
}

/** A number of bytes as text: `512 B`, `18.4 MB`. */
export function bytes(n: number): string {
  if (n < 1e3) return `${n} B`;
  if (n < 1e6) return `${(n / 1e3).toFixed(1)} kB`;
  return n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`;
}
