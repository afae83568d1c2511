/**
 * `POST /v1/chat/completions`: from JSON to messages and options. Fields that
 * the server cannot honour are refused, not ignored.
 * @module
 */
import type { AskOptions, Message } from "../session/ask.ts";
import type { JsonSchema } from "../constrain/json_schema.ts";
import { ApiError, shown } from "./error.ts";
import {
  boolean,
  type Fields,
  integer,
  list,
  number,
  object,
  own,
  refuse,
} from "./fields.ts";
import { imageBytes } from "./image_url.ts";
import type { Limits } from "./options.ts";

/** A parsed request. */
export interface ChatRequest {
  /** The conversation. */
  readonly messages: Message[];
  /** Options of the answer. */
  readonly options: AskOptions;
  /** Whether the answer is streamed. */
  readonly stream: boolean;
  /** Whether a stream ends with a chunk of usage. */
  readonly includeUsage: boolean;
  /** Number of images. */
  readonly images: number;
}

/** Limits and the model's name. */
export interface RequestRules {
  /** Name of the model. */
  readonly model: string;
  /** Limits. */
  readonly limits: Limits;
}

const USED = [
  ...["model", "messages", "stream", "stream_options", "temperature", "top_p"],
  ...["top_k", "seed", "stop", "max_tokens", "max_completion_tokens"],
  ...["response_format", "logprobs", "top_logprobs"],
];

/** Fields that do not concern the answer; they are accepted and have no effect. */
const IGNORED = [
  ...["user", "metadata", "store", "service_tier", "safety_identifier"],
  ...["prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls"],
  ...["reasoning_effort", "verbosity"],
];

/** Fields that are accepted only with a value that has no effect. */
const NEUTRAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (v) => v === 1,
  frequency_penalty: (v) => v === 0,
  presence_penalty: (v) => v === 0,
  logit_bias: (v) => JSON.stringify(v) === "{}",
  tools: (v) => JSON.stringify(v) === "[]",
  functions: (v) => JSON.stringify(v) === "[]",
  tool_choice: (v) => v === "none" || v === "auto",
  function_call: (v) => v === "none" || v === "auto",
  modalities: (v) => JSON.stringify(v) === '["text"]',
};

/**
 * Parses and checks a request.
 * @throws {ApiError}
 */
export function parseRequest(
  body: unknown,
  { model, limits }: RequestRules,
): ChatRequest {
  const fields = object(body, "the request");
  checkNames(fields);
  checkModel(own(fields, "model"), model);
  const count = { images: 0, text: 0 };
  const messages = list(fields.messages, "messages", {
    min: 1,
    max: limits.messages,
  }).map((m, i) => message(m, `messages[${i}]`, limits, count));
  const streamed = own(fields, "stream_options");
  const options = streamed === undefined
    ? {}
    : object(streamed, "stream_options");
  return {
    messages,
    options: answerOptions(fields, limits),
    stream: boolean(fields, "stream") ?? false,
    includeUsage: boolean(options, "include_usage") ?? false,
    images: count.images,
  };
}

function checkNames(fields: Fields) {
  for (const name of Object.keys(fields)) {
    if (USED.includes(name) || IGNORED.includes(name)) continue;
    const value = own(fields, name);
    if (!Object.hasOwn(NEUTRAL, name)) {
      throw new ApiError(
        "unknown_parameter",
        `Cannot answer: there is no field ${
          shown(name)
        }; leave it out. Known: ${USED.join(", ")}`,
        name.slice(0, 60),
      );
    }
    if (value === undefined || NEUTRAL[name](value)) continue;
    throw new ApiError(
      "unsupported_parameter",
      `Cannot answer: this server does not support ${name} ${
        shown(value)
      }; leave it out`,
      name,
    );
  }
}

function checkModel(asked: unknown, model: string) {
  if (asked === undefined || asked === model) return;
  if (typeof asked !== "string") {
    refuse("model", "a string", asked, "invalid_type");
  }
  throw new ApiError(
    "model_not_found",
    `Cannot answer with model ${shown(asked)}: this server has ${
      JSON.stringify(model)
    }; use that name`,
    "model",
  );
}

function answerOptions(fields: Fields, limits: Limits): AskOptions {
  const most = { min: 1, max: limits.maxTokens };
  const options: AskOptions = {};
  const maxTokens = integer(fields, "max_completion_tokens", most) ??
    integer(fields, "max_tokens", most);
  const temperature = number(fields, "temperature", { min: 0, max: 2 });
  const topP = number(fields, "top_p", { min: 0, max: 1 });
  const topK = integer(fields, "top_k", { min: 1, max: 1000 });
  const seed = integer(fields, "seed", {
    min: Number.MIN_SAFE_INTEGER,
    max: Number.MAX_SAFE_INTEGER,
  });
  if (maxTokens !== undefined) options.maxTokens = maxTokens;
  if (temperature !== undefined) options.temperature = temperature;
  // 0 leaves only the likeliest token; the runtime calls that temperature 0.
  if (topP === 0) options.temperature = 0;
  else if (topP !== undefined) options.topP = topP;
  if (topK !== undefined) options.topK = topK;
  if (seed !== undefined) options.seed = seed;
  const stop = own(fields, "stop");
  if (stop !== undefined) options.stop = stops(stop);
  const schema = schemaOf(own(fields, "response_format"));
  if (schema !== undefined) {
    if (stop !== undefined) {
      refuse("stop", "absent if response_format is JSON", stop);
    }
    options.schema = schema;
  }
  const top = integer(fields, "top_logprobs", { min: 0, max: 20 });
  if (boolean(fields, "logprobs")) options.logprobs = top ?? 0;
  else if (top) refuse("logprobs", "true if top_logprobs is given", false);
  return options;
}

/** The JSON schema of `response_format`; undefined for text. */
function schemaOf(format: unknown): JsonSchema | undefined {
  if (format === undefined) return undefined;
  const fields = object(format, "response_format"), type = own(fields, "type");
  switch (type) {
    case "text":
      return undefined;
    case "json_object":
      return { type: "object" };
    case "json_schema": {
      const at = "response_format.json_schema";
      const schema = own(object(own(fields, "json_schema"), at), "schema");
      return object(schema, `${at}.schema`);
    }
  }
  refuse("response_format.type", "text, json_object or json_schema", type);
}

function stops(stop: unknown): string[] {
  const wish = "a string, or up to 4 strings, of 1 to 256 characters";
  const all = typeof stop === "string" ? [stop] : stop;
  if (!Array.isArray(all)) refuse("stop", wish, stop, "invalid_type");
  if (all.length > 4) refuse("stop", wish, stop);
  for (const s of all) {
    if (typeof s !== "string") refuse("stop", wish, s, "invalid_type");
    if (s === "" || s.length > 256) refuse("stop", wish, s);
  }
  return all;
}

const ROLES: Readonly<Record<string, Message["role"]>> = {
  system: "system",
  developer: "system",
  user: "user",
  assistant: "assistant",
};

function message(
  value: unknown,
  param: string,
  limits: Limits,
  count: { images: number; text: number },
): Message {
  const fields = object(value, param);
  const role = own(fields, "role");
  if (typeof role !== "string" || !Object.hasOwn(ROLES, role)) {
    refuse(
      `${param}.role`,
      "system, developer, user or assistant",
      role,
      typeof role === "string" ? "invalid_value" : "invalid_type",
    );
  }
  const calls = own(fields, "tool_calls");
  if (calls !== undefined && JSON.stringify(calls) !== "[]") {
    throw new ApiError(
      "unsupported_parameter",
      "Cannot answer: this server does not support tool_calls; leave them out",
      `${param}.tool_calls`,
    );
  }
  const text = (text: unknown, at: string): string => {
    if (typeof text !== "string") refuse(at, "a string", text, "invalid_type");
    count.text += text.length;
    if (count.text > limits.textLength) {
      throw new ApiError(
        "context_length_exceeded",
        `Cannot answer: the messages have more than ${limits.textLength} characters of text; shorten them`,
        "messages",
      );
    }
    return text;
  };
  const at = `${param}.content`, content = own(fields, "content");
  if (typeof content === "string") {
    return { role: ROLES[role], content: text(content, at) };
  }
  if (!Array.isArray(content)) {
    refuse(at, "a string or a list of parts", content, "invalid_type");
  }
  const parts = list(content, at, { min: 1, max: limits.messages });
  return {
    role: ROLES[role],
    content: parts.map((value, i) => {
      const where = `${at}[${i}]`, part = object(value, where);
      const type = own(part, "type");
      if (type === "text") {
        return { type: "text", text: text(part.text, `${where}.text`) };
      }
      if (type !== "image_url") {
        refuse(`${where}.type`, "text or image_url", type);
      }
      if (ROLES[role] !== "user") {
        refuse(
          `${where}.type`,
          "text: only user messages may have images",
          type,
        );
      }
      if (++count.images > limits.images) {
        throw new ApiError(
          "too_many_images",
          `Cannot answer: at most ${limits.images} images are allowed in a request; send fewer`,
          where,
        );
      }
      const image = object(own(part, "image_url"), `${where}.image_url`);
      const bytes = imageBytes(own(image, "url"), `${where}.image_url.url`);
      return { type: "image", image: bytes };
    }),
  };
}
