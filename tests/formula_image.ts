/**
 * Images from integer formulas, so that tests in any language compute the bytes of the
 * golden hashes (tools/golden/formula.py).
 * @module
 */
import type { Image } from "../src/image/image.ts";

/** "waves": smooth ramps that wrap; "stripes": hard one-pixel edges. */
export type Formula = "waves" | "stripes";

/** The picture `kind` of `width` × `height` pixels. */
export function formulaImage(
  kind: Formula,
  width: number,
  height: number,
): Image {
  const data = new Uint8Array(width * height * 3);
  let i = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (kind === "waves") {
        data[i++] = 7 * x + 3 * y;
        data[i++] = (x * x + y * y) >> 5;
        data[i++] = (x ^ y) * 5 + 40 * ((x >> 4) + (y >> 4));
      } else {
        data[i++] = x % 3 === 0 ? 255 : 0;
        data[i++] = y % 5 === 0 ? 255 : 0;
        data[i++] = (x + y) % 7 === 0 ? 255 : 0;
      }
    }
  }
  return { width, height, data };
}

/** The picture that a name such as `formula:waves:640x480` stands for. */
export function formulaImageOf(name: string): Image {
  const match = /^formula:(waves|stripes):(\d+)x(\d+)$/.exec(name);
  if (!match) {
    throw new RangeError(
      `Cannot make ${JSON.stringify(name)}: it is no formula`,
    );
  }
  return formulaImage(match[1] as Formula, Number(match[2]), Number(match[3]));
}
