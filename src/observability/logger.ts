import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { redactedPaths, redactUrl } from './redact';

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

/** What a line is about. Set by `withLogContext`, written on every line logged inside. */
export interface LogContext {
  requestId?: string;
  correlationId?: string;
  orderId?: string;
}

/** A logger whose lines carry the surrounding `withLogContext` fields and never a password. */
export function createLogger({ level, name, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      name,
      mixin: () => ({ ...contexts.getStore() }),
      redact: { paths: redactedPaths, censor: '***' },
      hooks: { streamWrite: redactUrl },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? pino.destination({ dest: 2, sync: true }),
  );
}

/** Runs `work`, and everything it awaits, with these fields on every line; inner fields add to outer ones. */
export function withLogContext<T>(fields: LogContext, work: () => T): T {
  const outer = contexts.getStore();
  return contexts.run(outer === undefined ? fields : { ...outer, ...fields }, work);
}

/** The fields that a line logged here would carry. */
export function logContext(): Readonly<LogContext> {
  return contexts.getStore() ?? {};
}

const contexts = new AsyncLocalStorage<LogContext>();
