/**
 * Renders chat templates. A template is a program from a model file, so its
 * steps, time, texts and lists are limited.
 * @module
 */
import { Environment, parse, tokenize } from "@huggingface/jinja";
import { budget, type Spend } from "../platform/budget.ts";
import { TEMPLATE_LIMITS, tooMuch } from "./template_limits.ts";
import { Bounded } from "./template_run.ts";

export { TEMPLATE_LIMITS } from "./template_limits.ts";

/**
 * Renders a template.
 * @throws {Error} if it fails or exceeds a limit
 */
export function renderTemplate(
  template: string,
  variables: Readonly<Record<string, unknown>>,
): string {
  const spend = budget(TEMPLATE_LIMITS, (bound) => {
    throw tooMuch(bound, "its run");
  });
  const environment = new Environment();
  for (
    const [name, value] of Object.entries({ ...globals(spend), ...variables })
  ) {
    environment.set(name, value);
  }
  return String(new Bounded(environment, spend).run(programOf(template)).value);
}

type Program = ReturnType<typeof parse>;

/** Cache of parsed templates. */
const programs = new Map<string, Program>(), MOST_PROGRAMS = 4;

function programOf(template: string): Program {
  let program = programs.get(template);
  if (!program) {
    // Reading a template takes the square of its longest white space.
    const { length, blanks } = TEMPLATE_LIMITS;
    if (template.length > length) throw tooMuch("length", "its text");
    if (longestBlank(template) > blanks) throw tooMuch("blanks", "white space");
    program = parse(
      tokenize(template, { lstrip_blocks: true, trim_blocks: true }),
    );
    if (programs.size >= MOST_PROGRAMS) programs.clear();
    programs.set(template, program);
  }
  return program;
}

function longestBlank(text: string): number {
  let longest = 0, from = -1;
  for (let i = 0; i <= text.length; i++) {
    if (i < text.length && /\s/.test(text[i])) {
      if (from < 0) from = i;
    } else if (from >= 0) {
      longest = Math.max(longest, i - from);
      from = -1;
    }
  }
  return longest;
}

const MONTHS = [
  ...["January", "February", "March", "April", "May", "June", "July"],
  ...["August", "September", "October", "November", "December"],
];

/** Global functions of templates, as in transformers. */
function globals(spend: Spend): Readonly<Record<string, unknown>> {
  return {
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
      spend(Math.max(0, count));
      return Array.from(
        { length: Math.max(0, count) },
        (_, i) => from + i * step,
      );
    },
    strftime_now(format: string) {
      spend(4 + (format.length >> 3));
      const now = new Date(), two = (n: number) => String(n).padStart(2, "0");
      const month = MONTHS[now.getMonth()];
      const parts: Record<string, string> = {
        Y: String(now.getFullYear()),
        m: two(now.getMonth() + 1),
        d: two(now.getDate()),
        H: two(now.getHours()),
        M: two(now.getMinutes()),
        S: two(now.getSeconds()),
        b: month.slice(0, 3),
        B: month,
      };
      return format.replace(/%([YmdHMSbB])/g, (_, letter) => parts[letter]);
    },
  };
}
