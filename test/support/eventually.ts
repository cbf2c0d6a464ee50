/** Waits until `check` gives something true, asking again and again; fails with what it last saw after `limitMs`. */
export async function eventually<T>(check: () => T | Promise<T>, limitMs = 10_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + limitMs;
  let last: unknown;
  do {
    try {
      const value = await check();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  } while (performance.now() < deadline);
  throw new Error(`It did not happen within ${limitMs} ms; last seen: ${last instanceof Error ? last.stack : String(last)}`);
}
