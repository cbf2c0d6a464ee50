/** Loaded before a role, it makes the process believe in another time of day: CHAOS_CLOCK_OFFSET_MS from now. Timers run as they do. */
const offsetMs = Number(process.env.CHAOS_CLOCK_OFFSET_MS ?? 0);
const RightDate = Date;

globalThis.Date = class extends RightDate {
  constructor(...args: unknown[]) {
    if (args.length === 0) super(RightDate.now() + offsetMs);
    else super(...(args as [number]));
  }

  static override now(): number {
    return RightDate.now() + offsetMs;
  }
} as DateConstructor;

export {};
