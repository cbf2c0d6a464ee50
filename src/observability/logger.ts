import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { redacted, redactedPaths } from './redact';

/** Writes JSON lines; `log.info({ orderId }, 'sentence')`. */
export type Logger = PinoLogger;

export interface LoggerOptions {
  /** `silent`, `fatal`, `error`, `warn`, `info`, `debug` or `trace`. */
  level: string;
  /** The role or program that speaks. */
  name: string;
  /** Where lines go; stderr unless given, because stdout is for answers. */
  destination?: DestinationStream;
}

/** A logger whose lines never carry a password. What a line is about is given with it, or by a child of the logger. */
export function createLogger({ level, name, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      name,
      redact: { paths: redactedPaths, censor: '***' },
      hooks: { streamWrite: redacted },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? pino.destination({ dest: 2, sync: true }),
  );
}
