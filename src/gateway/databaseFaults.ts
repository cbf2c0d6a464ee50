import { classifyDatabaseError } from '../database';
import { Unavailable } from '../observability';
import { type InputFault } from './inputFault';

/**
 * What a failed database call means for the caller: come back later, ask again to find out, or mend the value. Undefined for
 * anything else, which is then masked.
 */
export function readDatabaseFault(error: unknown): Unavailable | InputFault | undefined {
  switch (classifyDatabaseError(error)) {
    case 'unavailable':
    case 'retry':
      return new Unavailable('The database cannot be used at the moment; nothing was changed. Try again.', { cause: error });
    case 'unknown-outcome':
      return new Unavailable(
        'The connection to the database was lost, so it is not known whether this happened. Repeat it with the same idempotency key.',
        { cause: error },
      );
    case 'data':
      return {
        message: 'A text in this request holds a NUL or half a character pair, which the database cannot keep: leave it out.',
      };
    default:
      return undefined;
  }
}
