import DataLoader from 'dataloader';

import { type Database } from '../database';
import { createFeed, patiently, type Page, type Pulse } from '../live';
import { type Logger } from '../observability';
import { isOf, latestStep, missedSteps, stepsAfter, type OrderStep, type StepFilter } from './historyRows';
import { findOrders, type OrderView } from './readOrders';

/** A step, and the order as it is by now. */
export interface OrderNews {
  step: OrderStep;
  order: OrderView;
  /** The same for all who hear of it at once; see `Page`. */
  together: WeakRef<object>;
}

export interface FollowOptions {
  /** The position of the step that was heard of last. */
  after?: bigint;
  /** Told once where it begins. */
  onBegin?: (at: bigint) => void;
  signal: AbortSignal;
}

export interface FollowOrdersOptions {
  database: Database;
  pulse?: Pulse;
  log: Logger;
}

/**
 * Every step of the orders that are meant, each once and each order's in the order of its versions; `news` with the order, `steps`
 * alone. One order without `after` begins with its latest step, so that nothing falls between asking and following; nothing comes when
 * there is no such order. Others begin from now.
 */
export function followOrdersUseCase({ database, pulse, log }: FollowOrdersOptions) {
  const feed = createFeed<OrderStep>({
    ...{ database, pulse, log, table: 'orders.order_history', column: 'position' },
    rowsAfter: (position, limit) => stepsAfter(database, position, limit),
  });
  const ordersOf = readTogether((ids) => findOrders(database, ids));

  return { news, steps };

  async function* news(filter: StepFilter, options: FollowOptions): AsyncGenerator<OrderNews> {
    for await (const page of pages(filter, options)) yield* await patiently(() => newsOf(page), options.signal);
  }

  async function* steps(filter: StepFilter, options: FollowOptions): AsyncGenerator<OrderStep> {
    for await (const { rows } of pages(filter, options)) yield* rows;
  }

  async function* pages(filter: StepFilter, { after, onBegin, signal }: FollowOptions): AsyncGenerator<Page<OrderStep>> {
    const latest = filter.orderId == null ? undefined : await patiently(() => latestStep(database, filter), signal);
    if (filter.orderId != null && latest === undefined) return;
    yield* feed.follow({
      after: after ?? (latest === undefined ? undefined : latest - 1n),
      isWanted: isOf(filter),
      read: (from, upTo, limit) => missedSteps(database, filter, { after: from, upTo, limit }),
      ...{ onBegin, signal },
    });
  }

  async function newsOf({ rows, together }: Page<OrderStep>): Promise<OrderNews[]> {
    const orders = await ordersOf(together).loadMany(rows.map(({ orderId }) => orderId));
    return rows.map((step, index) => {
      const order = orders[index]!;
      if (order instanceof Error) throw order;
      return { step, order, together };
    });
  }
}

/** One query for all who hear of the same look. */
function readTogether(read: (orderIds: string[]) => Promise<OrderView[]>) {
  const loaders = new WeakMap<object, DataLoader<string, OrderView>>();
  return (together: WeakRef<object>): DataLoader<string, OrderView> => {
    const key = together.deref() ?? {};
    const known = loaders.get(key);
    if (known) return known;
    const loader = new DataLoader<string, OrderView>(async (ids) => {
      const found = new Map((await read([...ids])).map((order) => [order.id, order]));
      return ids.map((id) => found.get(id) ?? new Error(`There is no order ${id}.`));
    });
    loaders.set(key, loader);
    return loader;
  };
}
