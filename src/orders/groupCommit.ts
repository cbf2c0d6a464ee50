/**
 * Lets calls that arrive together share one commit. A lone call goes at once; while a commit is under way, what arrives
 * gathers and goes with the next. If a shared commit fails for the sake of one, each is tried alone, so that only this one fails.
 */
export function groupCommit<Item, Result>({
  commit,
  isFaultOfOne,
  batchSizeMax,
  concurrencyMax,
  room,
  roomWaitMaxMs,
  noRoom,
}: GroupCommitOptions<Item, Result>) {
  const waiting: Waiting<Item, Result>[] = [];
  let underWay = 0;

  return (item: Item): Promise<Result> =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (underWay < concurrencyMax) void drain();
    });

  async function drain() {
    underWay++;
    // Everything that this turn of the event loop still brings is company.
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      if (await happens(room(), roomWaitMaxMs)) await settle(waiting.splice(0, batchSizeMax));
      else waiting.splice(0).forEach(({ reject }) => reject(noRoom()));
    }
    underWay--;
  }

  async function settle(batch: Waiting<Item, Result>[]): Promise<void> {
    if (batch.length === 0) return;
    try {
      const results = await commit(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => resolve(results[index]!));
    } catch (error) {
      if (batch.length === 1 || !isFaultOfOne(error)) batch.forEach(({ reject }) => reject(error));
      else for (const one of batch) await settle([one]);
    }
  }
}

export interface GroupCommitOptions<Item, Result> {
  /** Commits all of them or none, and answers in their order; an answer that is a promise may come later, or fail for itself alone. */
  commit: (items: Item[]) => Promise<(Result | Promise<Result>)[]>;
  /** False when the surroundings failed: then trying each alone would only fail once more for each. */
  isFaultOfOne: (error: unknown) => boolean;
  batchSizeMax: number;
  /** How many commits run side by side. */
  concurrencyMax: number;
  /** Resolves when more may be let in. */
  room: () => Promise<void>;
  /** When nothing at all was let in for so long, everyone who waits is turned away with `noRoom`. */
  roomWaitMaxMs: number;
  noRoom: () => Error;
}

async function happens(event: Promise<void>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), limitMs)));
  return Promise.race([event.then(() => true), passed]).finally(() => clearTimeout(timer));
}

interface Waiting<Item, Result> {
  item: Item;
  resolve: (result: Result | Promise<Result>) => void;
  reject: (error: unknown) => void;
}
