/**
 * Runs picture decoders that are compiled to WebAssembly, within memory bounds. A
 * malformed picture can leave an instance in a state that fails on every later
 * picture, so an instance that threw is replaced, and so is one whose memory has
 * grown large. An instance gets only the memory that a picture of its size needs.
 * @module
 */
import { readBytes } from "../platform/platform.ts";
import { ImageError } from "./image.ts";

/** A decoder instance (Emscripten). */
export interface Decoder {
  /** RGBA pixels; undefined or null where the bytes are damaged. */
  decode(bytes: Uint8Array<ArrayBuffer>): RgbaPixels | null | undefined;
}

/** Bytes R, G, B, A of each pixel. */
export interface RgbaPixels {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

/** Source of a decoder. */
export interface DecoderSource {
  /** URL of its WebAssembly: in Deno's cache, in node_modules, or beside a bundle. */
  wasm(): string;
  /** A fresh instance, by its package's own code; `memory` is its memory. */
  make(options: object, memory: () => Uint8Array): Promise<Decoder>;
}

/** RGBA pixels [height, width, 4] of a file, whose header has been read. */
export type DecodeRgba = (
  bytes: Uint8Array,
  size: { readonly width: number; readonly height: number },
) => Promise<RgbaPixels>;

/** Bytes of a WebAssembly memory page. */
const PAGE = 65_536;

/**
 * Memory of a decoder: tables, the input twice, and per pixel 4 bytes of RGBA, 6 of
 * coefficients (a progressive JPEG without subsampling) and 4 of intermediate rows.
 */
export const DECODER_MEMORY = { base: 64 * 2 ** 20, perPixel: 14 } as const;

/** An instance with more memory is not reused, in bytes. */
const KEEP_BYTES = 64 * 2 ** 20;

/**
 * A decoder that stays usable after damaged pictures. Needs `--allow-read` of the package's
 * folder, on first use. Throws `ImageError` "damaged" where decoding fails,
 * "too_large" where it takes more memory than it may.
 */
export function codec({ wasm, make }: DecoderSource): DecodeRgba {
  let module: WebAssembly.Module | undefined;
  let kept: Instance | undefined;
  return async (bytes, { width, height }) => {
    if (!kept) {
      const read = module ?? new WebAssembly.Module(await readBytes(wasm()));
      kept = await instance(read, make);
      module = read; // set last, so that a failed load is repeated
    }
    const mine = kept;
    mine.most = DECODER_MEMORY.base + 2 * bytes.length +
      DECODER_MEMORY.perPixel * width * height;
    mine.refused = false;
    let pixels: RgbaPixels | null | undefined;
    try {
      pixels = mine.decoder.decode(bytes.slice());
    } catch { /* a trap: told below */ }
    if (!pixels || (mine.memory?.buffer.byteLength ?? 0) > KEEP_BYTES) {
      if (kept === mine) kept = undefined;
    }
    if (pixels) return pixels;
    throw mine.refused
      ? new ImageError(
        "too_large",
        `its pixels take more than ${
          Math.ceil(mine.most / 2 ** 20)
        } MiB to decode; save it again`,
      )
      : new ImageError(
        "damaged",
        "its pixels cannot be decoded; copy it again",
      );
  };
}

/** A decoder, its memory, and the limit of that memory. */
interface Instance {
  readonly decoder: Decoder;
  readonly memory: WebAssembly.Memory | undefined;
  most: number;
  refused: boolean;
}

async function instance(
  module: WebAssembly.Module,
  make: DecoderSource["make"],
): Promise<Instance> {
  let memory: WebAssembly.Memory | undefined;
  const made = { most: DECODER_MEMORY.base, refused: false };
  const decoder = await make({
    noInitialRun: true,
    print() {},
    printErr() {},
    instantiateWasm(
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance) => void,
    ) {
      const instance = new WebAssembly.Instance(module, imports);
      memory = Object.values(instance.exports)
        .find((value) => value instanceof WebAssembly.Memory);
      if (!memory) throw new TypeError("a decoder without a memory");
      const { grow } = memory;
      // Where memory cannot grow, Emscripten's malloc fails.
      memory.grow = function (pages: number) {
        if (this.buffer.byteLength + pages * PAGE > made.most) {
          made.refused = true;
          throw new RangeError("more memory than the picture may take");
        }
        made.refused = false; // Emscripten tries again with less
        return grow.call(this, pages);
      };
      done(instance);
      return instance.exports;
    },
  }, () => new Uint8Array(memory!.buffer));
  return Object.assign(made, { decoder, memory });
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
