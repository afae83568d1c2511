/**
 * Running a chat template. It is a program out of a model file, so it gets a
 * fixed number of steps, and neither a text nor a list may outgrow a limit.
 * @module
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";

/** Limits of a template's run; real ones take some 40 steps a message. */
export const TEMPLATE_LIMITS = {
  /** Characters of the template. */
  length: 65_536,
  /** Statements and expressions, and more for what is large: see `Bounded`. */
  steps: 100_000,
  /** Characters of any text that it makes. */
  text: 1_000_000,
} as const;

/** What the template writes, given `variables`; throws an `Error` where it fails or takes too long. */
export function renderTemplate(
  template: string,
  variables: Readonly<Record<string, unknown>>,
): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) {
    environment.set(name, value);
  }
  const program = parse(
    tokenize(template, { lstrip_blocks: true, trim_blocks: true }),
  );
  return String(new Bounded(environment).run(program).value);
}

/** What every template may use, as transformers has it. */
const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception(message: unknown) {
    throw new Error(String(message));
  },
  range(start: number, stop?: number, step = 1) {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    const count = Math.ceil((to - from) / step);
    if (!(count <= TEMPLATE_LIMITS.steps)) throw tooMuch("steps", "a range");
    return Array.from(
      { length: Math.max(0, count) },
      (_, i) => from + i * step,
    );
  },
  strftime_now(format: string) {
    const now = new Date(), two = (n: number) => String(n).padStart(2, "0");
    const month = (style: "short" | "long") =>
      now.toLocaleDateString("en-US", { month: style });
    const parts: Record<string, string> = {
      Y: String(now.getFullYear()),
      m: two(now.getMonth() + 1),
      d: two(now.getDate()),
      H: two(now.getHours()),
      M: two(now.getMinutes()),
      S: two(now.getSeconds()),
      b: month("short"),
      B: month("long"),
    };
    return format.replace(/%([YmdHMSbB])/g, (_, letter) => parts[letter]);
  },
};

type Evaluate = Interpreter["evaluate"];

/** Statements and expressions of the interpreter, as far as they matter here. */
type Node = {
  readonly type: string;
  readonly value?: unknown;
  readonly filter?: { readonly value?: unknown };
} | undefined;

/** Whether a list that `node` uses is only put away, or asked for one element. */
function isShallow(node: Node): boolean {
  if (node?.type === "Set") return node.value !== null; // else it is a block
  return /^(MemberExpression|(Array|Tuple|Object)Literal)$/
    .test(node?.type ?? "") ||
    /^(length|count|first|last)$/.test(String(node?.filter?.value));
}

/**
 * Counts what a run costs, about a microsecond a step: one for each statement
 * and expression; one for 64 characters of a text, as often as it is used; four
 * for each element of a list that is made, two where a loop goes through it, an
 * eighth where it is used otherwise; and where all of it may be gone through
 * down to its leaves (to print it, say), an eighth for each of those. A list
 * within lists may have more of them than there is time to count.
 */
class Bounded extends Interpreter {
  #steps = 0;
  #user: Node;

  override evaluate(
    ...[statement, environment]: Parameters<Evaluate>
  ): ReturnType<Evaluate> {
    const node = statement as Node, user = this.#user;
    this.#spend(1);
    this.#user = node;
    const result = super.evaluate(statement, environment);
    this.#user = user;
    const { value } = result as { value?: unknown };
    if (typeof value === "string") {
      if (value.length > TEMPLATE_LIMITS.text) throw tooMuch("text", "a text");
      this.#spend(value.length >> 6);
    } else if (Array.isArray(value)) {
      const known = /^(Identifier|MemberExpression)$/.test(node?.type ?? "");
      if (user?.type === "For") this.#spend(2 * value.length);
      this.#spend(known ? value.length >> 3 : 4 * value.length);
    }
    if (!isShallow(user)) {
      this.#spend(leaves(value, 8 * TEMPLATE_LIMITS.steps) >> 3);
    }
    return result;
  }

  #spend(steps: number) {
    this.#steps += steps;
    if (this.#steps > TEMPLATE_LIMITS.steps) throw tooMuch("steps", "its run");
  }
}

/** Values within a list or an object, and within those, a text for one in 8 characters; counting ends at `most`. */
function leaves(value: unknown, most: number): number {
  let count = 0;
  for (const open = [value]; open.length > 0 && count <= most;) {
    const next = open.pop();
    if (Array.isArray(next) || next instanceof Map) {
      for (const { value } of next.values()) {
        if (++count > most) break;
        if (typeof value === "string") count += value.length >> 3;
        else if (typeof value === "object" && value !== null) open.push(value);
      }
    }
  }
  return count;
}

function tooMuch(limit: "steps" | "text", what: string): Error {
  return new Error(`${what} is beyond the limit of ${TEMPLATE_LIMITS[limit]}`);
}
