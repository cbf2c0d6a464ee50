import { CallerQueues, nameOf, type Asking, type Waiting } from './callerQueues';
import { LOOKUP_COST } from './operationCost';

/**
 * Which queries run. A document may ask for thirty lists, which are thirty statements at once; a few hundred of such would take every
 * connection to the database, and an order its turn behind all of them. So queries that run together may cost so much and no more, by
 * the estimate that bounds each, and those of one caller half of it, so that there is always room for another. Whoever comes when
 * there is room begins at once, the others in turn by caller. Mutations do not wait: to place an order is what all this is for.
 */
export class QueryTurns {
  private readonly queues = new CallerQueues<Queued>();
  /** Out of its queue, and the first to begin. */
  private upNext: Queued | undefined;
  private readonly costByCaller = new Map<string, number>();
  private cost = 0;

  /** `costMax`: of all that run together. */
  constructor(private readonly costMax = runningCostOf(10)) {}

  /**
   * Resolves when it may run, to what is to be called when it is over, whatever came of it; to undefined when too many of its caller
   * wait already, or it has left.
   */
  async take(asking: Asking, estimate: number): Promise<(() => void) | undefined> {
    // Whole numbers, whose sums come back to nothing. One that is above that by itself runs all the same, alone among its caller's.
    const cost = Math.min(Math.ceil(estimate), Math.floor(this.costMax / 2));
    if (this.upNext?.asking.hasLeft?.()) this.beginNext();
    if (this.mayBeginAtOnce({ asking, cost })) {
      this.count(asking, cost);
    } else {
      const mayRun = await new Promise<boolean>((begin) => {
        if (!this.queues.add({ asking, cost, begin })) begin(false);
      });
      if (!mayRun) return undefined;
    }
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.count(asking, -cost);
      this.beginNext();
    };
  }

  /** How many wait. */
  waiting(): number {
    return this.queues.size() + (this.upNext ? 1 : 0);
  }

  private beginNext(): void {
    for (;;) {
      this.upNext ??= this.queues.next((one) => this.mayBegin(one));
      if (!this.upNext) return;
      const { asking, cost, begin } = this.upNext;
      const isThere = !asking.hasLeft?.();
      if (isThere && !this.hasRoomFor(cost)) return;
      this.upNext = undefined;
      if (isThere) this.count(asking, cost);
      begin(isThere);
    }
  }

  /** Nobody is overtaken: not whoever is up next, and nobody of the same caller, whose dear query would wait for its cheap ones for ever. */
  private mayBeginAtOnce(one: Pick<Queued, 'asking' | 'cost'>): boolean {
    return !this.upNext && !this.queues.has(one.asking) && this.hasRoomFor(one.cost) && this.mayBegin(one);
  }

  private hasRoomFor(cost: number): boolean {
    return this.cost + cost <= this.costMax;
  }

  private mayBegin({ asking, cost }: Pick<Queued, 'asking' | 'cost'>): boolean {
    return (this.costByCaller.get(nameOf(asking)) ?? 0) + cost <= this.costMax / 2;
  }

  private count(asking: Asking, change: number): void {
    const name = nameOf(asking);
    const cost = (this.costByCaller.get(name) ?? 0) + change;
    this.cost += change;
    if (cost > 0) this.costByCaller.set(name, cost);
    else this.costByCaller.delete(name);
  }
}

/** Said to whoever is not let in. */
export const TOO_MANY_QUERIES =
  'Too many of your queries wait already: try again in 1 s, with fewer at a time, or with shorter lists.';

interface Queued extends Waiting {
  cost: number;
}

/**
 * How much may run together where there are so many connections to the database: four lookups for each. So those of one caller have two
 * for each, and an order waits for no more of them than that.
 */
export function runningCostOf(connections: number): number {
  return connections * 4 * LOOKUP_COST;
}
