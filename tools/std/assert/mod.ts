/**
 * Offline stand-in for the part of `jsr:@std/assert` that the tests use: same
 * names, same signatures, our own code (README, "Dependencies").
 * @module
 */
import nodeAssert from "node:assert/strict";

/** The error every assertion throws. */
export const AssertionError: typeof nodeAssert.AssertionError =
  nodeAssert.AssertionError;

/** Asserts that `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError({ message: msg });
}

/** Asserts deep equality. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  nodeAssert.deepEqual(actual, expected, msg);
}

/** Asserts that two values are the same (`Object.is`). */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  nodeAssert.strictEqual(actual, expected, msg);
}

/** Asserts deep inequality. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  nodeAssert.notDeepEqual(actual, expected, msg);
}

/** Asserts `|actual - expected| <= tolerance`. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance = Math.abs(expected) * 1e-7 || 1e-7,
  msg = `expected ${actual} to be within ${tolerance} of ${expected}`,
): void {
  assert(
    Object.is(actual, expected) || Math.abs(actual - expected) <= tolerance,
    msg,
  );
}

/** Asserts `actual >= expected`. */
export function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  msg = `expected ${actual} >= ${expected}`,
): void {
  assert(actual >= expected, msg);
}

/** Asserts `actual <= expected`. */
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  msg = `expected ${actual} <= ${expected}`,
): void {
  assert(actual <= expected, msg);
}

/** Asserts that `actual` contains `expected`. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg = `expected ${JSON.stringify(actual)} to contain ${
    JSON.stringify(expected)
  }`,
): void {
  assert(actual.includes(expected), msg);
}

/** Asserts that `actual` matches `expected`. */
export function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  nodeAssert.match(actual, expected, msg);
}

// deno-lint-ignore no-explicit-any
type ErrorConstructor<E extends Error> = abstract new (...args: any[]) => E;

function checkError<E extends Error>(
  error: unknown,
  ErrorClass?: ErrorConstructor<E>,
  msgIncludes?: string,
): E {
  assert(error instanceof Error, "expected an Error to be thrown");
  if (ErrorClass) {
    assert(
      error instanceof ErrorClass,
      `expected ${ErrorClass.name}, but ${error.name} was thrown: ${error.message}`,
    );
  }
  if (msgIncludes !== undefined) {
    assertStringIncludes(error.message, msgIncludes);
  }
  return error as E;
}

/** Asserts that `fn` throws, and returns what it threw. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass?: ErrorConstructor<E>,
  msgIncludes?: string,
): E {
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = error;
  }
  return checkError(thrown, ErrorClass, msgIncludes);
}

/** Asserts that the promise of `fn` rejects, and returns the reason. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass?: ErrorConstructor<E>,
  msgIncludes?: string,
): Promise<E> {
  let thrown: unknown;
  try {
    await fn();
  } catch (error) {
    thrown = error;
  }
  return checkError(thrown, ErrorClass, msgIncludes);
}
