/**
 * Protocol Buffers' wire format, as far as SentencePiece's files need it
 * (https://protobuf.dev/programming-guides/encoding).
 *
 * ```text
 * varint number · 8 + wire │ wire 0: varint │ 1: 8 bytes │ 2: varint length, bytes │ 5: 4 bytes
 * ```
 *
 * @module
 */
import { TokenizerError } from "./error.ts";

/** One field of a message: a number, or the bytes of a text or of a message. */
export interface Field {
  /** Its number in the message's description. */
  readonly number: number;
  /** Its value; numbers of 4 bytes are floats, those of 8 are left as bytes. */
  readonly value: number | Uint8Array;
}

/** The fields of a message, in order; throws `TokenizerError` where the bytes are none. */
export function* fieldsOf(message: Uint8Array): Generator<Field> {
  const { length } = message;
  const view = new DataView(message.buffer, message.byteOffset, length);
  let at = 0;
  const take = (size: number) => {
    if (size > length - at) throw cut(at);
    at += size;
    return message.subarray(at - size, at);
  };
  const varint = () => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const [byte] = take(1);
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw cut(at);
  };
  while (at < length) {
    const key = varint(), number = Math.floor(key / 8);
    switch (key % 8) {
      case 0:
        yield { number, value: varint() };
        break;
      case 1:
        yield { number, value: take(8) };
        break;
      case 2:
        yield { number, value: take(varint()) };
        break;
      case 5:
        take(4);
        yield { number, value: view.getFloat32(at - 4, true) };
        break;
      default:
        throw cut(at);
    }
  }
}

function cut(at: number): TokenizerError {
  return new TokenizerError(
    `Cannot read tokenizer.model: it is no SentencePiece model, or is damaged at byte ${at} of a message; download it again`,
  );
}
