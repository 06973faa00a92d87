/** Stand-in for the assertions of `@std/assert` that the tests use, over `node:assert`. */

import { deepStrictEqual } from "node:assert";
import { inspect, isDeepStrictEqual } from "node:util";

// deno-lint-ignore no-explicit-any
type ErrorClass<E> = abstract new (...args: any[]) => E;

/** What a failed assertion throws. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${msg ? `: ${msg}` : "."}`);
}

function check(holds: boolean, problem: string, msg: string | undefined): asserts holds {
  if (!holds) throw new AssertionError(msg ? `${problem}: ${msg}` : problem);
}

export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Deep equality; stricter than std in two points: 0 and -0 differ, and so do prototypes. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    deepStrictEqual(actual, expected);
  } catch (difference) {
    check(false, (difference as Error).message, msg);
  }
}

export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  const differ = !isDeepStrictEqual(actual, expected);
  check(differ, `Expected values to differ, both are ${inspect(actual)}`, msg);
}

export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  const same = Object.is(actual, expected);
  check(same, `Expected ${inspect(actual)} to be strictly ${inspect(expected)}`, msg);
}

/** @param tolerance @default one ten-millionth of the expected value */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance: number = Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7,
  msg?: string,
): void {
  const near = Object.is(actual, expected) || Math.abs(expected - actual) <= tolerance;
  check(near, `Expected ${actual} to be within ${tolerance} of ${expected}`, msg);
}

export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  check(actual !== undefined && actual !== null, `Expected a value, got ${actual}`, msg);
}

export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  check(actual > expected, `Expected ${inspect(actual)} > ${inspect(expected)}`, msg);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual >= expected, `Expected ${inspect(actual)} >= ${inspect(expected)}`, msg);
}

export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  check(actual < expected, `Expected ${inspect(actual)} < ${inspect(expected)}`, msg);
}

export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  check(actual <= expected, `Expected ${inspect(actual)} <= ${inspect(expected)}`, msg);
}

export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  check(expected.test(actual), `Expected ${inspect(actual)} to match ${expected}`, msg);
}

export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  const found = actual.includes(expected);
  check(found, `Expected ${inspect(actual)} to include ${inspect(expected)}`, msg);
}

// deno-lint-ignore no-explicit-any
export function assertInstanceOf<T extends abstract new (...args: any[]) => any>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  const problem = `Expected ${inspect(actual)} to be an instance of ${expectedType.name}`;
  check(actual instanceof expectedType, problem, msg);
}

/** What the caller expects of an error: a class and a part of its message, and a note. */
interface Expected {
  readonly errorClass?: ErrorClass<Error> | undefined;
  readonly includes?: string | undefined;
  readonly msg?: string | undefined;
}

function readExpected(args: readonly unknown[]): Expected {
  if (typeof args[0] === "string") return { msg: args[0] };
  const [errorClass, includes, msg] = args as [ErrorClass<Error>?, string?, string?];
  return { errorClass, includes, msg };
}

function checkError(error: unknown, { errorClass, includes, msg }: Expected): void {
  if (!errorClass) return;
  assertInstanceOf(error, errorClass, msg);
  if (includes) assertStringIncludes((error as Error).message, includes, msg);
}

export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  includes?: string,
  msg?: string,
): E;
export function assertThrows(fn: () => unknown, ...args: unknown[]): unknown {
  const expected = readExpected(args);
  try {
    fn();
  } catch (error) {
    checkError(error, expected);
    return error;
  }
  check(false, "Expected function to throw", expected.msg);
}

export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  includes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  ...args: unknown[]
): Promise<unknown> {
  const expected = readExpected(args);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch {
    check(false, "Expected function to reject, but it throws", expected.msg);
  }
  try {
    await promise;
  } catch (error) {
    checkError(error, expected);
    return error;
  }
  check(false, "Expected function to reject", expected.msg);
}
