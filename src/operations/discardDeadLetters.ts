import { type Database } from '../database';
import { findDeadLetters } from './readDeadLetters';
import { discardWaiting } from './settlementRows';
import { isOpen, settling, untouched } from './settling';

/** Puts dead letters aside for good: nobody will act on their messages. They stay to be read, with who did it and why. */
export function discardUseCase(database: Database) {
  return settling(database, {
    preview: (letters) =>
      Promise.resolve(letters.map((letter) => (isOpen(letter) ? { letter, outcome: 'WOULD_DISCARD' } : untouched(letter)))),
    async settle(letters, settler) {
      const ids = letters.map(({ id }) => id);
      const discarded = await discardWaiting(database, ids, settler);
      const now = await findDeadLetters(database, ids);
      return now.map((letter) => (discarded.has(letter.id) ? { letter, outcome: 'DISCARDED' } : untouched(letter)));
    },
  });
}
