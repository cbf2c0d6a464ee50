import { open, readFile } from 'node:fs/promises';

import { type Acknowledged, type AuditedLine } from '../audit';

/**
 * What the clients meant to do and what they were told, in a file that no crash of ours reaches: written and fsynced before a
 * request leaves and after its answer came. Only this can show that an acknowledged order was lost (I13).
 */
export interface Journal {
  /** Resolves when the entry is on the disk. Entries that come together share one fsync. */
  write(entry: JournalEntry): Promise<void>;
  close(): Promise<void>;
}

export type JournalEntry =
  | { at: string; what: 'create'; customerId: string; idempotencyKey: string; lines: AuditedLine[] }
  | { at: string; what: 'created'; idempotencyKey: string; customerId: string; lines: AuditedLine[]; orderId: string }
  /** The key was taken for other lines, as it must be. */
  | { at: string; what: 'conflict'; idempotencyKey: string }
  | { at: string; what: 'refused'; idempotencyKey: string; why: string }
  | { at: string; what: 'cancel' | 'fulfil'; orderId: string }
  | { at: string; what: 'cancelled' | 'fulfilled'; orderId: string; done: boolean };

export async function openJournal(path: string): Promise<Journal> {
  const file = await open(path, 'ax');
  let waiting: string[] = [];
  let flushing: Promise<void> | undefined;

  /** What arrives while the disk is at work goes with the next round. */
  function flush(): Promise<void> {
    return (flushing ??= (async () => {
      await new Promise(setImmediate);
      const lines = waiting;
      waiting = [];
      flushing = undefined;
      await (last = last.then(async () => {
        await file.appendFile(lines.join(''));
        await file.datasync();
      }));
    })());
  }
  let last: Promise<void> = Promise.resolve();

  return {
    write(entry) {
      waiting.push(`${JSON.stringify(entry)}\n`);
      return flush();
    },
    async close() {
      await last;
      await file.close();
    },
  };
}

/** What a journal says was promised. */
export interface Promised {
  acknowledged: Acknowledged[];
  /** Orders of which a client was told that they are cancelled, or fulfilled. */
  closed: { orderId: string; status: 'CANCELLED' | 'FULFILLED' }[];
  conflicts: number;
  refused: string[];
}

export async function readJournal(path: string): Promise<Promised> {
  const promised: Promised = { acknowledged: [], closed: [], conflicts: 0, refused: [] };
  for (const line of (await readFile(path, 'utf8')).split('\n')) {
    if (line !== '') note(promised, JSON.parse(line) as JournalEntry);
  }
  return promised;
}

function note({ acknowledged, closed, refused }: Promised, entry: JournalEntry) {
  if (entry.what === 'created') acknowledged.push(entry);
  if (entry.what === 'cancelled' && entry.done) closed.push({ orderId: entry.orderId, status: 'CANCELLED' });
  if (entry.what === 'fulfilled' && entry.done) closed.push({ orderId: entry.orderId, status: 'FULFILLED' });
  if (entry.what === 'refused') refused.push(`${entry.idempotencyKey}: ${entry.why}`);
}
