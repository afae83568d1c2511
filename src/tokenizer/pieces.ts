/**
 * SentencePiece vocabularies (Llama 2, InternLM2, Gemma): tokens consist of
 * characters, a space is written ▁, and a character without token becomes the
 * tokens `<0xNN>` of its bytes (https://huggingface.co/docs/tokenizers, "BPE",
 * byte_fallback).
 * @module
 */
import { TokenizerError } from "./error.ts";

/** Ids of the characters of a word, before merging. */
export function pieceSymbols(
  vocab: ReadonlyMap<string, number>,
): (word: string) => Int32Array {
  const bytes = Int32Array.from({ length: 256 }, (_, byte) => {
    const id = vocab.get(nameOfByte(byte));
    if (id === undefined) {
      throw TokenizerError.inFile(`it has no token ${nameOfByte(byte)}`);
    }
    return id;
  });
  const encoder = new TextEncoder();
  return (word) => {
    const ids: number[] = [];
    for (const char of word) {
      const id = vocab.get(char);
      if (id !== undefined) ids.push(id);
      else for (const byte of encoder.encode(char)) ids.push(bytes[byte]);
    }
    return Int32Array.from(ids);
  };
}

/** Text of the token of a byte. */
export function nameOfByte(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** Bytes of a token's text. */
export function bytesOfPiece(token: string): Uint8Array {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
  return byte === undefined
    ? new TextEncoder().encode(token.replaceAll("▁", " "))
    : Uint8Array.of(parseInt(byte, 16));
}
