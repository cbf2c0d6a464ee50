/** Waits until `check` gives something true, asking again and again; fails with what it last saw after `limitMs`. A limit of one's own promises speed; the usual one only ends what hangs. */
export async function eventually<T>(check: () => T | Promise<T>, limitMs = 60_000): Promise<NonNullable<T>> {
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

/** The first of three tries that succeeds, or the failure of the last. For a promise of speed, which one hiccup of a busy machine does not break. */
export async function oneOfThree<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 2; left > 0; left--) {
    try {
      return await attempt();
    } catch {
      // The next try may tell more.
    }
  }
  return attempt();
}
