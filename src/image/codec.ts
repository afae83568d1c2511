/**
 * Decoders compiled to WebAssembly, kept usable: one malformed picture can
 * leave an instance that fails on every good one after it, so an instance that
 * threw is replaced; so is one whose memory a large picture has blown up.
 * @module
 */
import { readBytes } from "../platform/platform.ts";
import { ImageError } from "./image.ts";

/** What a jSquash decoder offers. */
export interface WasmDecoder {
  /** URL of the decoder's WebAssembly: in Deno's cache, in node_modules, or beside a bundle. */
  wasm(): string;
  /** Makes a fresh instance. */
  init: unknown;
  /** Decodes with the latest instance. */
  decode(bytes: ArrayBuffer): Promise<ImageData>;
}

const KEEP_PIXELS = 8_000_000;

/** RGBA pixels [height, width, 4] of a file. */
export type DecodeRgba = (bytes: Uint8Array) => Promise<ImageData>;

/**
 * A decoder that survives bad pictures. Needs `--allow-read` of the package's
 * folder, on first use. Throws `ImageError` "damaged" where decoding fails.
 */
export function codec(decoder: WasmDecoder): DecodeRgba {
  const init = decoder.init as (
    module: WebAssembly.Module,
    options: Record<string, unknown>,
  ) => Promise<void>;
  let module: WebAssembly.Module | undefined;
  const quiet = { print() {}, printErr() {} };
  return async (bytes) => {
    if (!module) {
      const read = new WebAssembly.Module(await readBytes(decoder.wasm()));
      await init(read, quiet);
      module = read; // only now: what failed so far is tried again
    }
    let pixels: ImageData;
    try {
      pixels = await decoder.decode(bytes.slice().buffer);
    } catch {
      await init(module, quiet);
      throw new ImageError(
        "damaged",
        "its pixels cannot be decoded; copy it again",
      );
    }
    if (pixels.width * pixels.height > KEEP_PIXELS) await init(module, quiet);
    return pixels;
  };
}

/** The colours of RGBA pixels; alpha is dropped, as PIL's convert("RGB") does. */
export function rgbOf(
  rgba: ArrayLike<number>,
): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(rgba.length / 4 * 3);
  for (let i = 0, o = 0; i < rgba.length; i += 4) {
    rgb[o++] = rgba[i];
    rgb[o++] = rgba[i + 1];
    rgb[o++] = rgba[i + 2];
  }
  return rgb;
}
