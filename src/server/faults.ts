/**
 * Maps errors of the session to errors that clients may see.
 * @module
 */
import { ImageError, type ImageErrorCode } from "../image/image.ts";
import { RuntimeError } from "../graph/error.ts";
import { TokenizerError } from "../tokenizer/error.ts";
import { ApiError } from "./error.ts";
import { shuttingDown } from "./job.ts";

const IMAGE: Readonly<Record<ImageErrorCode, string>> = {
  unknown_kind:
    "its bytes begin like no known picture; send a JPEG, PNG or WebP",
  unsupported: "it is of a kind that is not read; save it as a JPEG or PNG",
  too_large:
    "it is too large or too narrow; at most 50 megapixels and sides of 1:200 are allowed",
  truncated: "it ends early; send the whole file",
  damaged: "it is damaged; save it anew",
  settings: "the model's image settings cannot be followed",
};

/** The error that the client gets for `error`. */
export function faultOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ImageError) {
    return new ApiError(
      "invalid_image",
      `Cannot read the image: ${IMAGE[error.code]}`,
      "messages",
    );
  }
  if (error instanceof RuntimeError) {
    if (error.code === "context") {
      // Our own sentence, made of two numbers.
      const code = "context_length_exceeded";
      return new ApiError(code, error.message, "messages");
    }
    if (error.code === "schema") {
      // Own sentences too, with words of the client's schema.
      return new ApiError("invalid_value", error.message, "response_format");
    }
    if (error.code === "closed") return shuttingDown();
    if (error.code === "prompt") return badPrompt();
  }
  if (error instanceof TokenizerError) return badPrompt();
  return new ApiError(
    "internal_error",
    "Cannot answer: something failed inside the server; its log says what",
  );
}

/**
 * The error to log for a response with status 500; undefined if it is logged
 * already.
 */
export function causeOf(error: unknown): unknown {
  return error instanceof ApiError ? error.cause : error;
}

function badPrompt(): ApiError {
  return new ApiError(
    "invalid_prompt",
    "Cannot answer: the model's chat template does not take these messages; begin with a user's message",
    "messages",
  );
}
