/**
 * A template interpreter that counts the cost of a run. Operations whose cost
 * depends on their operands (replace, split, join, indent) are paid before they
 * run. A step takes about a microsecond. Costs: one step per statement and
 * expression; one per 64 characters of a string at each use; four per element
 * of a new list, two per element in a loop, an eighth at other uses; an eighth
 * per nested value if an operation visits all of them, for example printing.
 * @module
 */
import { Interpreter } from "@huggingface/jinja";
import type { Spend } from "../platform/budget.ts";
import { costOf, leaves, type Value } from "./template_cost.ts";
import { TEMPLATE_LIMITS, tooMuch } from "./template_limits.ts";

type Evaluate = Interpreter["evaluate"];
type Statement = Parameters<Evaluate>[0];
type Environment = Parameters<Evaluate>[1];
type Result = ReturnType<Evaluate>;

/** The used fields of the interpreter's statements and expressions. */
interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** An expression whose value is already computed. */
interface Given extends Node {
  readonly type: "Given";
  readonly given: Result;
}

const given = (value: Result): Given => ({ type: "Given", given: value });

/** Whether `node` only stores a list or reads one element of it. */
function isShallow(node: Node | undefined): boolean {
  if (node?.type === "Set") return node.value !== null; // else it is a block
  const filter = node?.filter as { value?: unknown } | undefined;
  return /^(MemberExpression|(Array|Tuple|Object)Literal)$/
    .test(node?.type ?? "") ||
    /^(length|count|first|last)$/.test(String(filter?.value));
}

/** Template interpreter that calls `spend` with the cost of every operation; `spend` throws beyond the limit. */
export class Bounded extends Interpreter {
  readonly #spend: Spend;
  #user: Node | undefined;
  readonly #sizes = new WeakMap<object, number>();

  constructor(environment: Environment, spend: Spend) {
    super(environment);
    this.#spend = spend;
  }

  override evaluate(statement: Statement, environment: Environment): Result {
    const node = statement as unknown as Node | undefined;
    if (node?.type === "Given") return (node as Given).given;
    const user = this.#user;
    this.#spend(1);
    this.#user = node;
    const result = node
      ? this.#known(node, environment)
      : super.evaluate(statement, environment);
    this.#user = user;
    this.#pay(result, node, user);
    return result;
  }

  /**
   * Evaluates a node; its operands are evaluated and paid first if its cost
   * depends on them.
   */
  #known(node: Node, environment: Environment): Result {
    const run = (node: Node) =>
      super.evaluate(node as unknown as Statement, environment);
    const value = (node: unknown) =>
      this.evaluate(node as Statement, environment);
    switch (node.type) {
      case "FilterExpression":
        return run(this.#filter(node, value(node.operand), environment));
      case "FilterStatement": {
        const body = { type: "Program", body: node.body };
        return run(this.#filter(
          { ...node, type: "FilterExpression" },
          value(body),
          environment,
        ));
      }
      case "MemberExpression": {
        const object = value(node.object);
        const computed = node.computed &&
          (node.property as Node).type !== "SliceExpression";
        const property = computed ? value(node.property) : undefined;
        const name = property
          ? String(property.value)
          : String((node.property as { value?: unknown })?.value ?? "[]");
        if (name === "[]") this.#spend(costOf("slice", object as Value, []));
        return this.#method(
          name,
          object,
          run({
            ...node,
            object: given(object),
            ...property ? { property: given(property) } : {},
          }),
        );
      }
      case "BinaryExpression": {
        const { value: operator } = node.operator as { value: string };
        if (operator !== "in" && operator !== "not in") return run(node);
        const left = value(node.left), right = value(node.right);
        this.#spend(costOf("in", right as Value, [left as Value]));
        return run({ ...node, left: given(left), right: given(right) });
      }
      case "Macro":
      case "CallStatement":
        this.#spend(this.#size(node)); // it is searched for two names
    }
    return run(node);
  }

  /** Evaluates a filter with known operand and arguments. */
  #filter(node: Node, operand: Result, environment: Environment): Node {
    const filter = node.filter as Node;
    const value = (node: unknown) =>
      given(this.evaluate(node as Statement, environment));
    if (filter.type !== "CallExpression") {
      this.#spend(costOf(String(filter.value), operand as Value, []));
      return { ...node, operand: given(operand) };
    }
    const args = [...filter.args as Node[]], known: Value[] = [];
    const named = new Map<string, Value>();
    for (const [i, arg] of args.entries()) {
      if (arg.type.startsWith("Keyword")) continue;
      if (arg.type === "SpreadExpression") {
        args[i] = { ...arg, argument: value(arg.argument) };
      } else if (arg.type !== "StringLiteral") args[i] = value(arg);
      known.push(valueOf(args[i]));
    }
    for (const [i, arg] of args.entries()) {
      if (arg.type === "KeywordArgumentExpression") {
        args[i] = { ...arg, value: value(arg.value) };
        const { value: key } = arg.key as { value: string };
        named.set(key, valueOf(args[i].value as Node));
      } else if (arg.type === "KeywordSpreadExpression") {
        const spread = value(arg.argument);
        args[i] = { ...arg, argument: spread };
        const { value: all } = spread.given as { value?: unknown };
        if (all instanceof Map) { for (const [k, v] of all) named.set(k, v); }
      }
    }
    const { value: name } = filter.callee as { value?: unknown };
    this.#spend(costOf(String(name), operand as Value, known, named));
    return { ...node, operand: given(operand), filter: { ...filter, args } };
  }

  /** A method that is paid before it runs. */
  #method(name: string, object: Result, method: Result): Result {
    const { type, value: work } = method as { type: string; value?: unknown };
    if (type !== "FunctionValue" || typeof work !== "function") return method;
    const value = (args: Value[], scope: unknown) => {
      const last = args.at(-1);
      const named = last?.type === "KeywordArgumentsValue" &&
          last.value instanceof Map
        ? last.value as Map<string, Value>
        : undefined;
      const rest = named ? args.slice(0, -1) : args;
      this.#spend(costOf(name, object as Value, rest, named));
      return work(args, scope);
    };
    const copy = Object.create(Object.getPrototypeOf(method));
    return Object.assign(copy, method, { value });
  }

  #pay(result: Result, node: Node | undefined, user: Node | undefined) {
    const { value } = result as { value?: unknown };
    if (typeof value === "string") {
      if (value.length > TEMPLATE_LIMITS.text) {
        throw tooMuch("text", "a text");
      }
      this.#spend(value.length >> 6);
    } else if (Array.isArray(value)) {
      const known = /^(Identifier|MemberExpression)$/.test(node?.type ?? "");
      if (user?.type === "For") this.#spend(2 * value.length);
      this.#spend(known ? value.length >> 3 : 4 * value.length);
    }
    if (!isShallow(user)) {
      this.#spend(leaves(value, 8 * TEMPLATE_LIMITS.steps) >> 3);
    }
  }

  /** Number of objects and lists in a node of the program. */
  #size(node: Node): number {
    let size = this.#sizes.get(node);
    if (size === undefined) {
      size = 0;
      for (const open: object[] = [node]; open.length > 0; size++) {
        const next = open.pop()!;
        const inner = next instanceof Map ? [...next].flat() : next;
        for (const child of Object.values(inner)) {
          if (typeof child === "object" && child !== null) open.push(child);
        }
      }
      this.#sizes.set(node, size);
    }
    return size;
  }
}

/** The value of an argument, if known. */
function valueOf(node: Node): Value {
  if (node.type === "Given") return node.given as Value;
  return { type: "StringValue", value: node.value };
}
