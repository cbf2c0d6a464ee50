import { type Database } from '../database';
import { type Logger } from '../observability';
import { latestPositions, newestPosition, writersOf, type PositionedTable } from './feedRows';
import { patiently } from './patiently';
import { type Pulse } from './pulse';

export interface Positioned {
  position: bigint;
}

/** Follows the rows of a table, for any number of listeners of this process, whichever process writes them. */
export interface Feed<Row extends Positioned> {
  /** Rows page by page, each once and in the order of their positions, until `signal` is aborted. Throws CursorAhead. */
  follow(following: Following<Row>): AsyncGenerator<Page<Row>>;
}

export interface Following<Row> {
  /** The position of the row that was had last; from about now when left out. */
  after?: bigint;
  isWanted: (row: Row) => boolean;
  /** The wanted rows after `after` up to `upTo`, in their order, `limit` at most: for who is further behind than what is remembered. */
  read: (after: bigint, upTo: bigint, limit: number) => Promise<Row[]>;
  /** Told once where it begins: what comes after is heard of. */
  onBegin?: (at: bigint) => void;
  signal: AbortSignal;
}

export interface Page<Row> {
  rows: Row[];
  /**
   * The same for all who are given rows of the same look: what belongs to these rows is read once for all of them under this key. Held
   * weakly, so that who is slow keeps nothing alive that was read for others.
   */
  together: WeakRef<object>;
}

/** Nobody can have had a row of this position: the cursor is of another database. */
export class CursorAhead extends Error {
  override name = 'CursorAhead';
}

export interface FeedOptions<Row extends Positioned> extends PositionedTable {
  database: Database;
  /** Without one it is looked from time to time alone. */
  pulse?: Pulse;
  log?: Logger;
  /** Rows after `position`, in their order, as far as they can be seen. */
  rowsAfter: (position: bigint, limit: number) => Promise<Row[]>;
}

/**
 * One look into the table serves everybody: it is made when the pulse beats, or after half a second, and its rows are remembered. Each
 * listener goes through what is remembered by its own position and has nothing heaped up for it; who is slow falls behind what is
 * remembered and reads page by page until it has caught up.
 *
 * **Nothing is passed over.** Positions are drawn before they are committed, so a row may come to light after rows of greater
 * positions. The feed goes on only as far as the positions follow one another without a gap. At a gap it notes who is writing, and
 * takes the gap for a row that was rolled back when all of these have ended and it is there still.
 */
export function createFeed<Row extends Positioned>(options: FeedOptions<Row>): Feed<Row> {
  const feed = new TableFeed(options);
  return { follow: (following) => feed.follow(following) };
}

/** What one look found: all rows after `from` up to `upTo`. */
interface Look<Row> {
  from: bigint;
  upTo: bigint;
  rows: Row[];
}

class TableFeed<Row extends Positioned> {
  /** Everything up to here was handed out; undefined while nobody listens. */
  private head: bigint | undefined;
  private looks: Look<Row>[] = [];
  private listeners = 0;
  private readonly waiting = new Set<() => void>();
  private running: Promise<void> | undefined;
  private beginning: Promise<bigint> | undefined;
  private wake: () => void = () => undefined;
  private isBeaten = false;
  /** Whoever might still fill a gap below `bound`. */
  private gap: { bound: bigint; writers: string[] } | undefined;
  /** Gaps up to here will stay. */
  private settledUpTo = 0n;

  constructor(private readonly options: FeedOptions<Row>) {}

  async *follow(following: Following<Row>): AsyncGenerator<Page<Row>> {
    const { after, onBegin, signal } = following;
    this.listeners += 1;
    this.running ??= this.run();
    const headMoved = this.waiterOf(signal);
    try {
      let at = after ?? (await patiently(() => this.begun(), signal));
      await patiently(() => this.refuseAhead(at), signal);
      onBegin?.(at);
      while (!signal.aborted) {
        const next = at < (this.head ?? at) ? await this.pageAfter(at, following) : undefined;
        if (next === undefined) await headMoved.next();
        else at = next.at;
        if (next?.page) yield next.page;
      }
    } finally {
      headMoved.done();
      this.listeners -= 1;
      if (this.listeners === 0) this.wake();
    }
  }

  /** What is wanted of what comes after `at`, and how far that goes. A page is all that is held for who is slow. */
  private async pageAfter(at: bigint, { isWanted, read, signal }: Following<Row>): Promise<{ at: bigint; page?: Page<Row> }> {
    const head = this.head!;
    const look = this.looks.find(({ from, upTo }) => from <= at && at < upTo);
    const found = look
      ? look.rows.filter((row) => row.position > at && isWanted(row))
      : await patiently(() => read(at, head, PAGE_MAX), signal);
    const rows = found.slice(0, PAGE_MAX);
    const isWhole = look ? rows.length === found.length : rows.length < PAGE_MAX;
    const end = isWhole ? (look?.upTo ?? head) : rows.at(-1)!.position;
    return { at: end, page: rows.length > 0 ? { rows, together: new WeakRef(look ?? {}) } : undefined };
  }

  /** Another process may have handed out more than this one has seen, but nobody more than there is. */
  private async refuseAhead(at: bigint): Promise<void> {
    await this.begun();
    if (at <= this.head!) return;
    const newest = await newestPosition(this.options.database, this.options);
    if (at > newest) throw new CursorAhead(`Position ${at} is beyond the newest, ${newest}.`);
  }

  /** Where those begin who give no position. There is a head when this resolves. */
  private begun(): Promise<bigint> {
    if (this.head !== undefined) return Promise.resolve(this.head);
    this.beginning ??= this.begin().finally(() => (this.beginning = undefined));
    return this.beginning;
  }

  /**
   * The head is the newest row, once nobody can fill a gap below it any more: who comes back with an older position goes up to it
   * without looking for gaps. Who comes without one begins below the gaps of this moment, and so hears of what is under way.
   */
  private async begin(): Promise<bigint> {
    const { database } = this.options;
    const newest = await newestPosition(database, this.options);
    let writers = await writersOf(database, this.options);
    const start = writers.length > 0 ? belowGaps(await latestPositions(database, this.options, GAPS_LOOKED_FOR), newest) : newest;
    while (writers.length > 0) {
      await new Promise((resolve) => setTimeout(resolve, GAP_PAUSE_MS));
      const writing = new Set(await writersOf(database, this.options));
      writers = writers.filter((writer) => writing.has(writer));
    }
    this.head ??= newest;
    return start;
  }

  private async run(): Promise<void> {
    const { pulse, log } = this.options;
    const unfollow = pulse?.follow(() => {
      this.isBeaten = true;
      this.wake();
    });
    while (this.listeners > 0) {
      this.isBeaten = false;
      const pauseMs = await this.look().catch((error: unknown) => {
        log?.warn({ err: error, table: this.options.table }, 'changes could not be looked for; looking again');
        return FAILURE_PAUSE_MS;
      });
      if (this.listeners > 0) await this.rest(pauseMs);
    }
    unfollow?.();
    this.running = undefined;
    this.head = undefined;
    this.looks = [];
    this.gap = undefined;
  }

  /** Returns how long to wait for the next one, unless the pulse beats. */
  private async look(): Promise<number> {
    const { rowsAfter } = this.options;
    await this.begun();
    const from = this.head!;
    const seen = await rowsAfter(from, LOOK_MAX);
    const rows = seen.slice(0, this.countToGap(from, seen));
    if (rows.length > 0) this.handOut({ from, upTo: rows.at(-1)!.position, rows });
    if (rows.length < seen.length) {
      await this.judgeGap(seen.at(-1)!.position);
      return GAP_PAUSE_MS;
    }
    this.gap = undefined;
    return seen.length === LOOK_MAX ? 0 : LOOK_INTERVAL_MS;
  }

  private countToGap(from: bigint, rows: Row[]): number {
    let expected = from + 1n;
    for (const [index, { position }] of rows.entries()) {
      if (position !== expected && position > this.settledUpTo) return index;
      expected = position + 1n;
    }
    return rows.length;
  }

  /**
   * Asked after the rows were read, so that whoever drew a position below `bound` and cannot be seen is among the writers or has just
   * ended; what these leave behind is seen by the next look, which is why nothing is settled for this one.
   */
  private async judgeGap(bound: bigint): Promise<void> {
    const writing = new Set(await writersOf(this.options.database, this.options));
    const { writers } = (this.gap ??= { bound, writers: [...writing] });
    this.gap.writers = writers.filter((writer) => writing.has(writer));
    if (this.gap.writers.length > 0) return;
    this.settledUpTo = this.gap.bound;
    this.gap = undefined;
  }

  private handOut(look: Look<Row>): void {
    this.head = look.upTo;
    this.looks.push(look);
    let remembered = this.looks.reduce((sum, { rows }) => sum + rows.length, 0);
    while (remembered > REMEMBERED_MAX && this.looks.length > 1) remembered -= this.looks.shift()!.rows.length;
    for (const wakeUp of [...this.waiting]) wakeUp();
  }

  private rest(ms: number): Promise<void> {
    if (this.isBeaten || ms === 0) return new Promise(setImmediate);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Waits for the head to move. One listener on the signal for all waits of a follower: each would stay there until its end. */
  private waiterOf(signal: AbortSignal) {
    const { waiting } = this;
    let wakeUp: () => void = () => undefined;
    const onAbort = () => wakeUp();
    signal.addEventListener('abort', onAbort);
    return {
      next: () =>
        new Promise<void>((resolve) => {
          if (signal.aborted) return resolve();
          wakeUp = () => {
            waiting.delete(wakeUp);
            resolve();
          };
          waiting.add(wakeUp);
        }),
      done: () => {
        waiting.delete(wakeUp);
        signal.removeEventListener('abort', onAbort);
      },
    };
  }
}

/** Below the lowest gap that is not older than any transaction. `latest`: the greatest first. */
function belowGaps(latest: { position: bigint; isRecent: boolean }[], newest: bigint): bigint {
  const oldest = latest.findIndex(({ isRecent }) => !isRecent);
  const ascending = latest.slice(0, oldest === -1 ? undefined : oldest + 1).reverse();
  const gap = ascending.findIndex(({ position }, index) => index > 0 && position !== ascending[index - 1]!.position + 1n);
  return gap > 0 ? ascending[gap - 1]!.position : newest;
}

/** Rows of one page for who reads by itself. */
const PAGE_MAX = 100;
/** Rows of one look. */
const LOOK_MAX = 1_000;
const REMEMBERED_MAX = 2_000;
/** For who begins from now. */
const GAPS_LOOKED_FOR = 2_000;
/** Without a beat. */
const LOOK_INTERVAL_MS = 500;
/** As long as a transaction takes. */
const GAP_PAUSE_MS = 20;
const FAILURE_PAUSE_MS = 500;
