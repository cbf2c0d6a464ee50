import { setTimeout } from 'node:timers/promises';

import { queues } from '../contracts';
import { type Database } from '../database';
import { toReplay, type Broker, type MessageProperties } from '../messaging';
import { type Logger } from '../observability';
import { findDeadLetters, readBodies, type DeadLetterView } from './readDeadLetters';
import { claimForReplay, markReplayed, releaseClaims } from './settlementRows';
import { isOpen, settling, untouched, type SettledLetter, type Settler } from './settling';

export interface ReplayOptions {
  database: Database;
  broker: Broker;
  log: Logger;
  newId: () => string;
  /** What is wrong with a message in the eyes of its queue's consumer today: null for nothing, undefined where nobody knows. */
  problemWith: (queue: string, body: Buffer, properties: MessageProperties) => string | null | undefined;
  /** How long a call waits for messages to be settled, where the broker is in process; then they are under way. */
  waitMs?: number;
}

/**
 * Publishes dead letters once more. Each letter is claimed first, in the statement that notes who did it and why; it is REPLAYED
 * when its message is confirmed and nobody has brought it back meanwhile:
 *
 *   WAITING ── claim ──► WAITING, claimed ── confirm ──► REPLAYED
 *                            │      └─ died again: the keeper takes the claim away, and it waits anew
 *                            └─ refused by the broker, or this process died (the claim ends): it waits, to be replayed again
 *
 * No row is locked while the broker works: in process a confirm comes only after the message is settled, and if that is by dying,
 * the keeper needs the row. So a crash repeats a message and never loses one, and a repetition has no effect.
 */
export function replayUseCase(options: ReplayOptions) {
  const { database, newId } = options;
  return settling(database, {
    preview: (letters) => preview(options, letters),
    async settle(letters, settler) {
      const replay: Replay = { ...options, replayId: newId(), settler };
      const claimed = await claimForReplay(database, idsOf(letters), replay.replayId, settler);
      const isClaimed = ({ id }: DeadLetterView) => claimed.has(id);
      const outcomes = await publishAll(replay, letters.filter(isClaimed));
      const now = await findDeadLetters(database, idsOf(letters));
      return now.map((letter) =>
        isClaimed(letter) ? { letter, ...outcomeOf(letter, outcomes.get(letter.id)) } : untouched(letter),
      );
    },
  });
}

interface Replay extends ReplayOptions {
  replayId: string;
  settler: Settler;
}

/** What the broker said to one message; `error` when it did not take it. */
type Sent = 'confirmed' | 'under-way' | { error: unknown };

/** In portions of bounded size, oldest first; messages of one portion are on their way together. */
async function publishAll(replay: Replay, letters: DeadLetterView[]): Promise<Map<string, Sent>> {
  const { waitMs = WAIT_MS } = replay;
  const outcomes = new Map<string, Sent>();
  const deadline = performance.now() + waitMs;
  for (const portion of portionsOf(letters)) {
    const sent = await publishPortion(replay, portion, Math.max(0, deadline - performance.now()));
    sent.forEach((outcome, index) => outcomes.set(portion[index]!.id, outcome));
  }
  return outcomes;
}

async function publishPortion(replay: Replay, letters: DeadLetterView[], waitMs: number): Promise<Sent[]> {
  const { database, broker, replayId, settler } = replay;
  const bodies = await readBodies(database, letters, PORTION_BYTES_MAX);
  const publications = letters.map((letter) => publish(broker, letter, bodies.get(letter.id)!));
  const waiting = new AbortController();
  const patience = setTimeout(waitMs, 'under-way' as const, { signal: waiting.signal }).catch(() => 'under-way' as const);
  const sent = await Promise.all(publications.map((publication) => Promise.race([publication, patience])));
  waiting.abort();
  const idsWhere = (test: (outcome: Sent) => boolean) => letters.filter((_, index) => test(sent[index]!)).map(({ id }) => id);
  await markReplayed(
    database,
    idsWhere((outcome) => outcome === 'confirmed'),
    replayId,
    settler,
  );
  await releaseClaims(
    database,
    idsWhere((outcome) => typeof outcome === 'object'),
    replayId,
  );
  letters.forEach(({ id }, index) => sent[index] === 'under-way' && void settleLater(replay, id, publications[index]!));
  return sent;
}

async function publish(broker: Broker, letter: DeadLetterView, body: Buffer): Promise<Exclude<Sent, 'under-way'>> {
  const { id, queue, exchange, routingKey } = letter;
  const died = queue === queues.unrouted ? undefined : queue;
  try {
    await broker.publish(toReplay({ id, queue: died, exchange, routingKey, body, properties: propertiesOf(letter) }));
    return 'confirmed';
  } catch (error) {
    return { error };
  }
}

/** Nobody waits for it any more; if this fails, the claim ends by itself and the letter still waits. */
async function settleLater({ database, log, replayId, settler }: Replay, id: string, publication: Promise<Sent>) {
  try {
    if ((await publication) === 'confirmed') await markReplayed(database, [id], replayId, settler);
    else await releaseClaims(database, [id], replayId);
  } catch (error) {
    log.warn({ err: error, deadLetter: id }, 'a replayed dead letter was not marked; it waits and can be replayed again');
  }
}

function outcomeOf(letter: DeadLetterView, sent: Sent | undefined): Omit<SettledLetter, 'letter'> {
  if (sent === 'under-way') return { outcome: 'UNDER_WAY', detail: 'published; its consumer has not settled it yet' };
  if (typeof sent === 'object')
    return { outcome: 'FAILED', detail: sent.error instanceof Error ? sent.error.message : String(sent.error) };
  return letter.state === 'WAITING' ? { outcome: 'DIED_AGAIN', detail: letter.reason } : { outcome: 'REPLAYED' };
}

/** A dry run: what would be published, and what is already known to be wrong with it. */
async function preview({ database, problemWith }: ReplayOptions, letters: DeadLetterView[]): Promise<SettledLetter[]> {
  const bodies = await readBodies(database, letters.filter(isLookedInto), PORTION_BYTES_MAX);
  return letters.map((letter) => {
    if (!isOpen(letter)) return untouched(letter);
    const body = isLookedInto(letter) ? bodies.get(letter.id) : undefined;
    const problem = body && problemWith(letter.queue, body, propertiesOf(letter));
    if (problem === undefined) return { letter, outcome: 'WOULD_REPLAY', detail: 'whether it would be understood is not known' };
    const isUnderstood = problem === null;
    return {
      letter,
      outcome: 'WOULD_REPLAY',
      isUnderstood,
      detail: problem ?? 'would be understood; whether it succeeds, only a replay shows',
    };
  });
}

const isLookedInto = ({ bodySize }: DeadLetterView) => bodySize <= LOOKED_INTO_BYTES_MAX;

/** As they were sent: JSON has no bytes, so a header of bytes comes back as what Buffer writes. */
function propertiesOf({ properties }: DeadLetterView): MessageProperties {
  return JSON.parse(JSON.stringify(properties), (_name, value: unknown) =>
    isWrittenBuffer(value) ? Buffer.from(value.data) : value,
  ) as MessageProperties;
}

function isWrittenBuffer(value: unknown): value is { type: 'Buffer'; data: number[] } {
  const { type, data } = (value ?? {}) as { type?: unknown; data?: unknown };
  return type === 'Buffer' && Array.isArray(data);
}

function portionsOf(letters: DeadLetterView[]): DeadLetterView[][] {
  const portions: DeadLetterView[][] = [];
  let bytes = Infinity;
  for (const letter of letters) {
    bytes += letter.bodySize;
    if (bytes > PORTION_BYTES_MAX) {
      portions.push([]);
      bytes = letter.bodySize;
    }
    portions.at(-1)!.push(letter);
  }
  return portions;
}

function idsOf(letters: DeadLetterView[]): string[] {
  return letters.map(({ id }) => id);
}

const WAIT_MS = 10_000;
const PORTION_BYTES_MAX = 16 * 1_048_576;
const LOOKED_INTO_BYTES_MAX = 1_048_576;
