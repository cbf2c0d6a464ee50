import { isPassingFault } from '../database';

/**
 * Does `work`, which only reads, again while the database is away, so that who follows goes on where it was; gives up with the last
 * error when `signal` is aborted.
 */
export async function patiently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || !isPassingFault(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

const PAUSE_MS = 500;
