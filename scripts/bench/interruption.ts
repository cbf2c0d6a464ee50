import { Ending, exitCodes } from '../exit';

/** Rejects when the bench is to stop; raced with everything that takes long. */
export function abortion(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(interrupted()), { once: true });
  });
  aborted.catch(() => undefined);
  return aborted;
}

export function refuseToGoOn(signal: AbortSignal): void {
  if (signal.aborted) throw interrupted();
}

function interrupted(): Ending {
  return new Ending(exitCodes.interrupted, 'interrupted.');
}
