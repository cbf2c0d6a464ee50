/** How long something took, and which it was. */
export interface Timed {
  name: string;
  number: number;
  ms: number;
}

/** Keeps the slowest few, slowest first. */
export function keepSlowest(list: Timed[], { ms, ...one }: Timed): void {
  list.push({ ...one, ms: Math.round(ms) });
  list.sort((a, b) => b.ms - a.ms).splice(KEPT);
}

const KEPT = 5;
