/** What stands in front of every figure of a report, so that they stand below one another. */
export const NAME_WIDTH = 42;

export function milliseconds(value: number | undefined, digits = 1): string {
  return value === undefined ? '' : value.toFixed(digits);
}
