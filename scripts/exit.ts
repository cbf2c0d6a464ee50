import { ConfigError } from '../src/config';
import { classifyDatabaseError } from '../src/database';
import { redacted } from '../src/observability';

/** How the scripts end; printed in their --help. */
export const exitCodes = { passed: 0, failed: 1, broken: 2, usage: 64, outOfReach: 69, interrupted: 130 } as const;

/** Ends a script with a line for people and the code that says whose turn it is. */
export class Ending extends Error {
  constructor(
    readonly exitCode: number,
    message: string,
  ) {
    super(message);
    this.name = 'Ending';
  }
}

export const usageFault = (message: string) => new Ending(exitCodes.usage, message);
export const outOfReach = (message: string) => new Ending(exitCodes.outOfReach, message);

/**
 * Runs a script whose work resolves to its exit code; what it throws becomes a line on stderr, without a stack. `atOnce`: ends the
 * process when the work is done; Node 20, left to end by itself, now and then waits for ever for a connection that was reset.
 */
export function runScript(name: string, main: () => Promise<number>, { atOnce = false } = {}): void {
  const done = main().then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
      const hint = isParseError(error) ? ' (--help shows the options)' : '';
      process.stderr.write(redacted(`${name}: ${error instanceof Error ? error.message : String(error)}${hint}\n`));
      process.exitCode = exitCodeOf(error);
    },
  );
  if (atOnce) void done.then(() => process.exit());
}

function exitCodeOf(error: unknown): number {
  if (error instanceof Ending) return error.exitCode;
  if (error instanceof ConfigError || isParseError(error)) return exitCodes.usage;
  const isAway = ['unavailable', 'unknown-outcome'].includes(classifyDatabaseError(error));
  return isAway ? exitCodes.outOfReach : exitCodes.failed;
}

/** What node:util's parseArgs says about an option it does not know. */
function isParseError(error: unknown): boolean {
  return (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
}
