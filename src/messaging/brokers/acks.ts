/**
 * Gathers the acks of one channel and sends them once per turn of the event loop: those that form an unbroken run from the
 * oldest open delivery on go out as a single "up to here", the others one by one. So a neighbour still in work is never acked.
 */
export interface Acks {
  /** A delivery arrived; tags rise. */
  open(tag: number): void;
  ack(tag: number): void;
  /** It was settled in another way, and is on the wire already. */
  settled(tag: number): void;
  flush(): void;
  /** Deliveries whose settlement was not sent yet. */
  openCount(): number;
}

export function createAcks(send: (tag: number, allUpTo: boolean) => void): Acks {
  const open = new Set<number>();
  const acked = new Set<number>();
  let scheduled = false;

  function flush(): void {
    let last: number | undefined;
    let count = 0;
    for (const tag of open) {
      if (!acked.has(tag)) break;
      last = tag;
      count += 1;
      open.delete(tag);
      acked.delete(tag);
    }
    if (last !== undefined) send(last, count > 1);
    for (const tag of acked) {
      open.delete(tag);
      send(tag, false);
    }
    acked.clear();
  }

  return {
    open: (tag) => open.add(tag),
    ack(tag) {
      acked.add(tag);
      if (scheduled) return;
      scheduled = true;
      setImmediate(() => {
        scheduled = false;
        flush();
      });
    },
    settled: (tag) => open.delete(tag),
    flush,
    openCount: () => open.size,
  };
}
