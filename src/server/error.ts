/**
 * Errors of the server as OpenAI's error object, with fixed sentences. No text
 * of an internal error, no path and no stack is sent.
 * @module
 */

/** Error codes, which clients see as `error.code`. */
export type ApiErrorCode =
  | "bad_host"
  | "bad_origin"
  | "body_too_large"
  | "body_timeout"
  | "cancelled"
  | "context_length_exceeded"
  | "internal_error"
  | "invalid_api_key"
  | "invalid_image"
  | "invalid_json"
  | "invalid_prompt"
  | "invalid_type"
  | "invalid_value"
  | "loading"
  | "method_not_allowed"
  | "model_not_found"
  | "not_found"
  | "queue_full"
  | "queue_timeout"
  | "remote_image_refused"
  | "shutting_down"
  | "too_many_images"
  | "unknown_parameter"
  | "unsupported_media_type"
  | "unsupported_parameter";

const STATUS: Readonly<Record<ApiErrorCode, number>> = {
  bad_host: 421,
  bad_origin: 403,
  body_too_large: 413,
  body_timeout: 408,
  cancelled: 499,
  context_length_exceeded: 400,
  internal_error: 500,
  invalid_api_key: 401,
  invalid_image: 400,
  invalid_json: 400,
  invalid_prompt: 400,
  invalid_type: 400,
  invalid_value: 400,
  loading: 503,
  method_not_allowed: 405,
  model_not_found: 404,
  not_found: 404,
  queue_full: 503,
  queue_timeout: 503,
  remote_image_refused: 400,
  shutting_down: 503,
  too_many_images: 400,
  unknown_parameter: 400,
  unsupported_media_type: 415,
  unsupported_parameter: 400,
};

/** A request that is refused or that failed. */
export class ApiError extends Error {
  /** Error code. */
  readonly code: ApiErrorCode;
  /** The field that caused the error, such as `messages[0].content`. */
  readonly param: string | null;
  /** Headers of the response, such as `retry-after`. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * Creates the error.
   * @param message what was attempted, the value, what is allowed, the next
   * step
   */
  constructor(
    code: ApiErrorCode,
    message: string,
    param: string | null = null,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.param = param;
    this.headers = headers;
  }

  /** HTTP status. */
  get status(): number {
    return STATUS[this.code];
  }

  /** The body of the response: `{error: {message, type, param, code}}`. */
  get body(): {
    error: Record<"message" | "type" | "param" | "code", unknown>;
  } {
    const { message, param, code } = this;
    const type = this.status >= 500 ? "server_error" : "invalid_request_error";
    return { error: { message, type, param, code } };
  }

  /** The response. */
  response(): Response {
    const { status, headers } = this;
    return Response.json(this.body, { status, headers });
  }
}

/** `value` as it is quoted in an error message: JSON, at most 60 characters. */
export function shown(value: unknown): string {
  if (typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  if (value === null) return "null";
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "an object";
  const text = String(value);
  return text.length <= 60
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, 50))}… (${text.length} characters)`;
}
