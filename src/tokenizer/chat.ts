/**
 * Chat templates: messages with text and images → token ids. User text never
 * passes through the template: the template is rendered with markers, and the
 * text replaces the markers as a part in which added tokens are not recognised.
 * So a prompt that contains `<image>` stays text.
 * @module
 */
import { TokenizerError } from "./error.ts";
import { renderTemplate, TEMPLATE_LIMITS } from "./template.ts";
import type { TextPart, Tokenizer } from "./tokenizer.ts";

/** A part of a message. */
export type ChatPart =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image" };

/** A message of a chat. */
export interface ChatMessage {
  /** Role. */
  readonly role: "system" | "user" | "assistant";
  /** Parts of the message, in order. */
  readonly content: readonly ChatPart[];
}

/** A chat template and its settings. */
export interface ChatFormat {
  /** The Jinja template (chat_template.jinja). */
  readonly template: string;
  /**
   * Absent for a text-only model; its template takes the content of a message
   * as one string instead of a list of parts.
   */
  readonly image?: {
    /** The string that the template writes for an image, such as `<image>`. */
    readonly token: string;
    /** The text that replaces it in the prompt, for the image with that index. */
    tokens(index: number): string;
    /** Text and id of the token that stands for a row of an image: it is placed by its id, because as text it could merge with its neighbours. */
    readonly row?: { readonly text: string; readonly id: number };
  };
  /** Further template variables: bos_token, eos_token. */
  readonly variables?: Readonly<Record<string, string>>;
}

/** A prompt ready for a model. */
export interface ChatPrompt {
  /** Token ids. */
  readonly ids: number[];
  /** The prompt as text. */
  readonly text: string;
}

// Private-use characters mark a user's text; the em space beside them shows
// whether the template trims it.
const [OPEN, CLOSE, SPACE] = ["\u{F0000}", "\u{F0001}", "\u2003"];
const MARKER = new RegExp(`(${SPACE}?)${OPEN}(\\d+)${CLOSE}(${SPACE}?)`, "gu");

/**
 * Renders and encodes `messages`, up to the point where the assistant answers.
 * @throws {TokenizerError} if the template fails or does not write exactly one
 * image token per image part
 */
export function chat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  format: ChatFormat,
): ChatPrompt {
  const parts = chatParts(messages, format);
  return {
    ids: tokenizer.encodeParts(parts),
    text: parts.map((part) => part.text).join(""),
  };
}

/** The text of an image as parts, its rows by id. */
function imageParts(
  text: string,
  row: NonNullable<ChatFormat["image"]>["row"],
): TextPart[] {
  if (!row || row.text === "") return [{ text, special: true }];
  const { text: token, id } = row;
  return text.split(token).flatMap((piece, i) => [
    ...(i === 0 ? [] : [{ text: token, special: true, ids: [id] }]),
    { text: piece, special: true },
  ]);
}

/** The prompt as parts; only the template's own text may contain added tokens. */
export function chatParts(
  messages: readonly ChatMessage[],
  format: ChatFormat,
): TextPart[] {
  const texts: string[] = [], { image: picture } = format;
  const images = messages.flatMap((m) => m.content)
    .filter((part) => part.type === "image").length;
  if (images > 0 && !picture) {
    throw new TokenizerError(
      `Cannot render the prompt: the messages have ${images} images, but the model is text-only`,
    );
  }
  const marked = messages.map(({ role, content }) => {
    const parts = content.map((part) => {
      if (part.type === "image") return { type: "image" };
      const mark = `${SPACE}${OPEN}${
        texts.push(part.text) - 1
      }${CLOSE}${SPACE}`;
      return { type: "text", text: mark };
    });
    const plain = () => parts.map(({ text }) => text).join("");
    return { role, content: picture ? parts : plain() };
  });
  const rendered = render(format, marked);

  const parts: TextPart[] = [];
  const written = new Set<number>();
  let at = 0, image = 0;
  const template = (text: string) => {
    const pieces = picture ? text.split(picture.token) : [text];
    parts.push({ text: pieces[0], special: true });
    for (const piece of pieces.slice(1)) {
      if (image < images) {
        parts.push(...imageParts(picture!.tokens(image), picture!.row));
      }
      parts.push({ text: piece, special: true });
      image++;
    }
  };
  for (const match of rendered.matchAll(MARKER)) {
    const [whole, before, index, after] = match;
    template(rendered.slice(at, match.index));
    at = match.index + whole.length;
    let text = texts[Number(index)];
    if (before === "") text = text.trimStart();
    if (after === "") text = text.trimEnd();
    written.add(Number(index));
    parts.push({ text, special: false });
  }
  template(rendered.slice(at));
  if (written.size !== texts.length) {
    throw new TokenizerError(
      `Cannot render the prompt: the chat template writes ${written.size} of ${texts.length} texts`,
    );
  }
  if (image !== images) {
    throw new TokenizerError(
      `Cannot render the prompt: the messages have ${images} images, but the chat template writes ${
        JSON.stringify(picture?.token)
      } ${image} times`,
    );
  }
  return parts.filter((part) => part.text !== "");
}

function render(format: ChatFormat, messages: unknown): string {
  const { template, variables } = format;
  if (
    template.length > TEMPLATE_LIMITS.length ||
    /[\u{F0000}\u{F0001}]/u.test(template)
  ) {
    throw new TokenizerError(
      `Cannot use the chat template: it has more than ${TEMPLATE_LIMITS.length} characters, or private-use characters`,
    );
  }
  try {
    return renderTemplate(template, {
      ...variables,
      messages,
      add_generation_prompt: true,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TokenizerError(
      `Cannot use the chat template: ${why.slice(0, 200)}`,
    );
  }
}
