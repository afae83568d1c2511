/**
 * How the rows of a run are cut into segments. Modality-Specific static
 * Quantization (MSQ) with Attention-Invariant Flexible Switching (AIFS): image
 * rows come first, so each modality is one contiguous range, and a site or a
 * product is issued once per range with that range's scale.
 * @module
 */
import type { Group } from "../kernels/layout.ts";
import type { Amount } from "./buffer.ts";
import { REGISTER } from "./step.ts";

/** Rows of one modality. */
export interface Segment {
  /** Index of its scale: 0 vision, 1 text. */
  readonly modality: 0 | 1;
  readonly rows: Amount;
  /** Its first row among float rows. */
  readonly start: Amount;
  /** Its first row among packed codes: each segment begins a fresh group of 4. */
  readonly packed: Amount;
  /** Register that is 0 where the segment is empty. */
  readonly when?: number;
}

/** Rows of a value. */
export interface Form {
  readonly rows: Amount;
  /** Most rows there can be. */
  readonly most: number;
  /** Codes of activations: A4, or A1 for a single row. */
  readonly group: Group;
  readonly segments: readonly Segment[];
  /** Of whose rows it has only some, which stand where they stood. */
  readonly of?: Form;
}

/** The rows of one modality, in their places among all. */
export function only(form: Form, modality: number): Form {
  const segments = form.segments.filter((s) => s.modality === modality);
  return { ...form, segments, of: form.of ?? form };
}

/** `rows` rows of one modality. */
export function fixedForm(rows: number, modality: 0 | 1): Form {
  return {
    rows,
    most: rows,
    group: rows === 1 ? 1 : 4,
    segments: [{ modality, rows, start: 0, packed: 0 }],
  };
}

/** As many rows of a picture as a register says, `most` at most. */
export function pictureForm(register: number, most: number): Form {
  const rows = { register };
  return {
    rows,
    most,
    group: 4,
    segments: [{ modality: 0, rows, start: 0, packed: 0 }],
  };
}

/** One text row. */
export const SINGLE: Form = fixedForm(1, 1);

/** A chunk of up to `most` tokens: image rows, where there can be any, then text rows. */
export function chunkForm(most: number, images: boolean): Form {
  const { imageRows, imageEnd, textRows, rows: all } = REGISTER;
  const rows = { register: all };
  if (!images) {
    return {
      rows,
      most,
      group: 4,
      segments: [{ modality: 1, rows, start: 0, packed: 0 }],
    };
  }
  return {
    rows,
    most,
    group: 4,
    segments: [
      {
        modality: 0,
        rows: { register: imageRows },
        start: 0,
        packed: 0,
        when: imageRows,
      },
      {
        modality: 1,
        rows: { register: textRows },
        start: { register: imageRows },
        packed: { register: imageEnd },
        when: textRows,
      },
    ],
  };
}

/** Rows of packed codes a form needs: each segment may leave a group unfinished. */
export function packedRows(form: Form): number {
  const { segments } = form.of ?? form;
  return form.group === 1 ? form.most : form.most + 4 * segments.length;
}
