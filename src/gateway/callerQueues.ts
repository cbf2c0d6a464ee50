import { type Caller } from '../identity';

/** Whoever asks, as far as turns depend on it: the facts of a request are this. */
export interface Asking {
  caller?: Caller;
  /** Of whoever shows no token. */
  address?: string;
  /** True when nobody waits for the answer any more. */
  hasLeft?: () => boolean;
}

/** Somebody who waits for a turn. */
export interface Waiting {
  asking: Asking;
  /** Called once: with true when it is its turn, with false when it waited for nothing. */
  begin: (mayGoOn: boolean) => void;
}

/** A queue for each caller, and callers take turns: whoever has many waiting waits for itself, and not everybody for it. */
export class CallerQueues<One extends Waiting> {
  /** Whoever is next first. */
  private readonly waiting = new Map<string, One[]>();

  /** How many wait, those included who have left. */
  size(): number {
    let size = 0;
    for (const queue of this.waiting.values()) size += queue.length;
    return size;
  }

  /** False when the caller has too many waiting already. */
  add(one: One): boolean {
    const name = nameOf(one.asking);
    let queue = this.waiting.get(name) ?? [];
    if (queue.length >= WAITING_MAX) queue = withoutLeft(queue);
    const hasRoom = queue.length < WAITING_MAX;
    if (hasRoom) queue.push(one);
    this.waiting.set(name, queue);
    return hasRoom;
  }

  /** Whether somebody of this caller waits. */
  has(asking: Asking): boolean {
    return this.waiting.has(nameOf(asking));
  }

  /**
   * Takes out whoever is next among those of whom `mayBegin` says so, which it is asked of the first of each caller. Those who have
   * left meanwhile are sent away, and cost nobody a turn.
   */
  next(mayBegin: (one: One) => boolean = () => true): One | undefined {
    for (const [caller, queue] of this.waiting) {
      while (queue[0]?.asking.hasLeft?.()) queue.shift()!.begin(false);
      if (queue[0] && !mayBegin(queue[0])) continue;
      const one = queue.shift();
      // Behind all others that wait.
      this.waiting.delete(caller);
      if (queue.length > 0) this.waiting.set(caller, queue);
      if (one) return one;
    }
    return undefined;
  }
}

/** Sends those away who have left. */
function withoutLeft<One extends Waiting>(queue: One[]): One[] {
  return queue.filter(({ asking, begin }) => {
    const hasLeft = asking.hasLeft?.() ?? false;
    if (hasLeft) begin(false);
    return !hasLeft;
  });
}

/** Of one caller: a shop asks for all its customers by one login, and all at once where a gateway has just started. */
const WAITING_MAX = 1_000;

/** Whose queue it is; those without a token share that of their address. */
export function nameOf({ caller, address }: Asking): string {
  if (!caller) return `address ${address}`;
  return caller.role === 'customer' ? `customer ${caller.customerId}` : `${caller.role} ${caller.name}`;
}
