/**
 * Running a chat template. It is a program out of a model file, so it gets a
 * fixed number of steps, and neither a text nor a list may outgrow a limit.
 * @module
 */
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";

/** Limits of a template's run; real ones take some hundred steps. */
export const TEMPLATE_LIMITS = {
  /** Characters of the template. */
  length: 65_536,
  /** Statements, expressions, and four for each element of a list that one of them gives. */
  steps: 1_000_000,
  /** Characters of any text that it makes. */
  text: 4_000_000,
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

class Bounded extends Interpreter {
  #steps = 0;

  override evaluate(
    ...[statement, environment]: Parameters<Evaluate>
  ): ReturnType<Evaluate> {
    this.#spend(1);
    const result = super.evaluate(statement, environment);
    const { value } = result as { value?: unknown };
    if (Array.isArray(value)) this.#spend(4 * value.length); // it may be walked
    if (typeof value === "string" && value.length > TEMPLATE_LIMITS.text) {
      throw tooMuch("text", "a text");
    }
    return result;
  }

  #spend(steps: number) {
    this.#steps += steps;
    if (this.#steps > TEMPLATE_LIMITS.steps) throw tooMuch("steps", "its run");
  }
}

function tooMuch(limit: "steps" | "text", what: string): Error {
  return new Error(`${what} is beyond the limit of ${TEMPLATE_LIMITS[limit]}`);
}
