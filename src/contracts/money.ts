/** The amount in major units as text, such as "19.99": for showing, not for counting. */
export function decimalOf(minorUnits: number, currency: string): string {
  if (minorUnits < 0) return `-${decimalOf(-minorUnits, currency)}`;
  const digits = fractionDigits(currency);
  if (digits === 0) return String(minorUnits);
  const text = String(minorUnits).padStart(digits + 1, '0');
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** ISO 4217 gives each currency its digits: two for EUR, none for JPY, three for KWD. The runtime knows the list. */
function fractionDigits(currency: string): number {
  const known = digitsByCurrency.get(currency);
  if (known !== undefined) return known;
  if (!/^[A-Z]{3}$/.test(currency)) return 2;
  const { maximumFractionDigits } = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions();
  digitsByCurrency.set(currency, maximumFractionDigits ?? 2);
  return maximumFractionDigits ?? 2;
}

const digitsByCurrency = new Map<string, number>();
