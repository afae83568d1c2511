/**
 * Division of the rows of a value into segments, one per modality. Image rows come
 * first (AIFS), so a quantization or a matmul is one kernel call per segment, with
 * that modality's static scale (MSQ).
 * @module
 */
import type { RowBlock } from "../kernels/layout.ts";
import type { Amount } from "./buffer.ts";
import { REGISTER } from "./step.ts";

/** The rows of one modality. */
export interface Segment {
  /** Index of its scale: 0 vision, 1 text. */
  readonly modality: 0 | 1;
  readonly rows: Amount;
  /** First row in float layout. */
  readonly start: Amount;
  /** First row in packed layout: each segment starts a new row block. */
  readonly packed: Amount;
  /** Register that is 0 when the segment is empty. */
  readonly when?: number;
}

/** The rows of a value. */
export interface RowLayout {
  readonly rows: Amount;
  /** Largest number of rows. */
  readonly maxRows: number;
  /** Packed layout of its int8 values: A4, or A1 for a single row. */
  readonly rowBlock: RowBlock;
  readonly segments: readonly Segment[];
  /** The layout of all rows, for a layout of one modality. */
  readonly of?: RowLayout;
}

/** The layout of one modality; the rows keep their positions among all rows. */
export function only(layout: RowLayout, modality: number): RowLayout {
  const segments = layout.segments.filter((s) => s.modality === modality);
  return { ...layout, segments, of: layout.of ?? layout };
}

/** A layout of `rows` rows of one modality. */
export function fixedRows(rows: number, modality: 0 | 1): RowLayout {
  return {
    rows,
    maxRows: rows,
    rowBlock: rows === 1 ? 1 : 4,
    segments: [{ modality, rows, start: 0, packed: 0 }],
  };
}

/** A layout of image rows whose number is in a register, at most `maxRows`. */
export function registerRows(register: number, maxRows: number): RowLayout {
  const rows = { register, most: maxRows };
  return {
    rows,
    maxRows,
    rowBlock: 4,
    segments: [{ modality: 0, rows, start: 0, packed: 0 }],
  };
}

/** The layout of one text row. */
export const ONE_ROW: RowLayout = fixedRows(1, 1);

/** The layout of a chunk of up to `maxRows` tokens: image rows where the model has `images`, then text rows. */
export function chunkRows(maxRows: number, images: boolean): RowLayout {
  const { imageRows, imageEnd, textRows, rows: all } = REGISTER;
  const of = (register: number) => ({ register, most: maxRows });
  const layout = { rows: of(all), maxRows, rowBlock: 4 } as const;
  if (!images) {
    return {
      ...layout,
      segments: [{ modality: 1, rows: layout.rows, start: 0, packed: 0 }],
    };
  }
  return {
    ...layout,
    segments: [
      {
        modality: 0,
        rows: of(imageRows),
        start: 0,
        packed: 0,
        when: imageRows,
      },
      {
        modality: 1,
        rows: of(textRows),
        start: { register: imageRows },
        packed: { register: imageEnd },
        when: textRows,
      },
    ],
  };
}

/** Number of packed rows of a layout: the last row block of each segment may be partial. */
export function packedRows(layout: RowLayout): number {
  const { segments } = layout.of ?? layout;
  return layout.rowBlock === 1
    ? layout.maxRows
    : layout.maxRows + 4 * segments.length;
}
