/**
 * Typed reading of a checkpoint's config.json.
 * @module
 */

/** Maximum layers of a tower: four times the deepest known one. */
const MOST_LAYERS = 512;

const NUMBER = /^-?\d{1,20}(\.\d{1,20})?(e[+-]?\d{1,3})?$/i;

/** Typed access to a JSON object, with errors that name the field. */
export class Config {
  /**
   * Wraps a parsed object.
   * @param json the object
   * @param path its name in messages
   */
  constructor(
    private readonly json: Record<string, unknown>,
    private readonly path = "config.json",
  ) {}

  #fail(key: string, want: string): never {
    throw new RangeError(
      `Cannot read ${this.path}: "${key}" must be ${want}: current value is ${
        JSON.stringify(this.json[key])?.slice(0, 80)
      }`,
    );
  }

  /**
   * A finite number, or a string with one ("1e-5"), as some files have;
   * `fallback` if the field is absent.
   */
  number(key: string, fallback?: number): number {
    const v = this.json[key] ?? fallback;
    const number = typeof v === "string" && NUMBER.test(v) ? Number(v) : v;
    return typeof number === "number" && Number.isFinite(number)
      ? number
      : this.#fail(key, "a number");
  }

  /** A number above 0; `fallback` where the field is absent. */
  positive(key: string, fallback?: number): number {
    const v = this.number(key, fallback);
    return v > 0 ? v : this.#fail(key, "a number above 0");
  }

  /** A positive integer; `fallback` where the field is absent. */
  size(key: string, fallback?: number): number {
    const v = this.json[key] ?? fallback;
    return Number.isInteger(v) && v as number > 0 && v as number < 2 ** 31
      ? v as number
      : this.#fail(key, "a positive integer");
  }

  /**
   * A number of layers, limited because each layer becomes several nodes;
   * `fallback` if the field is absent.
   */
  layers(key: string, fallback?: number): number {
    const v = this.size(key, fallback);
    return v <= MOST_LAYERS ? v : this.#fail(key, `at most ${MOST_LAYERS}`);
  }

  /** A boolean; `fallback` where the field is absent. */
  flag(key: string, fallback: boolean): boolean {
    const v = this.json[key] ?? fallback;
    return typeof v === "boolean" ? v : this.#fail(key, "true or false");
  }

  /** One of `choices`; `fallback` where the field is absent. */
  choice<T extends string>(
    key: string,
    choices: readonly T[],
    fallback?: T,
  ): T {
    const v = this.json[key] ?? fallback;
    return choices.includes(v as T)
      ? v as T
      : this.#fail(key, choices.join(" or "));
  }

  /** A string; `fallback` if the field is absent. */
  text(key: string, fallback?: string): string {
    const v = this.json[key] ?? fallback;
    return typeof v === "string" ? v : this.#fail(key, "a string");
  }

  /**
   * A string, or a number as a string (for versions); `fallback` if the field
   * is absent.
   */
  label(key: string, fallback: string): string {
    const v = this.json[key] ?? fallback;
    return typeof v === "string" || typeof v === "number"
      ? `${v}`
      : this.#fail(key, "a string or a number");
  }

  /** A nested object; empty where absent. */
  object(key: string): Config {
    const v = this.json[key] ?? {};
    if (typeof v !== "object" || Array.isArray(v)) this.#fail(key, "an object");
    return new Config(v as Record<string, unknown>, `${this.path}: ${key}`);
  }

  /** The same object with some fields replaced. */
  with(fields: Record<string, unknown>): Config {
    return new Config({ ...this.json, ...fields }, this.path);
  }

  /** The same object with defaults for absent fields. */
  or(defaults: Record<string, unknown>): Config {
    const stated = Object.entries(this.json).filter(([, v]) => v !== null);
    return this.with({ ...defaults, ...Object.fromEntries(stated) });
  }

  /** The side of a square: one number, or a pair of equal ones. */
  side(key: string, fallback: number): number {
    const v = this.json[key];
    if (!Array.isArray(v)) return this.size(key, fallback);
    return v.length === 2 && v[0] === v[1] && Number.isInteger(v[0]) && v[0] > 0
      ? v[0]
      : this.#fail(key, "a positive integer or a pair of equal ones");
  }

  /** A list of positive integers; empty where the field is absent. */
  sizes(key: string): number[] {
    const list = this.json[key] ?? [];
    return Array.isArray(list) &&
        list.every((v) => Number.isInteger(v) && v > 0)
      ? list
      : this.#fail(key, "a list of positive integers");
  }

  /** A list of numbers above 0; empty where the field is absent. */
  positives(key: string): number[] {
    const list = this.json[key] ?? [];
    return Array.isArray(list) &&
        list.every((v) => typeof v === "number" && v > 0 && v < Infinity)
      ? list
      : this.#fail(key, "a list of numbers above 0");
  }

  /** A list of strings; empty if the field is absent. */
  texts(key: string): string[] {
    const list = this.json[key] ?? [];
    return Array.isArray(list) && list.every((v) => typeof v === "string")
      ? list
      : this.#fail(key, "a list of strings");
  }

  /** A token id; `fallback` where the field is absent. */
  id(key: string, fallback?: number): number {
    const v = this.json[key] ?? fallback;
    return Number.isInteger(v) && v as number >= 0 && v as number < 2 ** 31
      ? v as number
      : this.#fail(key, "a whole number from 0");
  }

  /** Token ids or indexes: one, a list, or none where the field is absent. */
  ids(key: string): number[] {
    const list = [this.json[key] ?? []].flat();
    return list.every((v) => Number.isInteger(v) && v as number >= 0)
      ? list as number[]
      : this.#fail(key, "a whole number from 0 or a list of them");
  }

  /** Whether the field is present and not null. */
  has(key: string): boolean {
    return this.json[key] !== undefined && this.json[key] !== null;
  }
}
