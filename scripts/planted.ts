import type * as paymentRowsModule from '../src/accounts/paymentRows';
import type * as topologyModule from '../src/contracts/topology';
import { type Database, type Transaction } from '../src/database';
import type * as clientModule from '../src/database/client';
import type * as reservationRowsModule from '../src/inventory/reservationRows';
import type * as stockModule from '../src/inventory/stock';
import { type Stock } from '../src/inventory/stock';
import type * as stockRowsModule from '../src/inventory/stockRows';
import type * as settlementModule from '../src/messaging/batchSettlement';
import { type BatchSettlementOptions } from '../src/messaging/batchSettlement';
import { type Broker, type Delivery } from '../src/messaging/broker';
import { type AmqpMessage } from '../src/messaging/brokers/amqp';
import type * as rabbitmqModule from '../src/messaging/brokers/rabbitmq';
import type * as deliveryModule from '../src/messaging/brokers/rabbitmqDelivery';
import { type DeliveryOptions, type Settlement } from '../src/messaging/brokers/rabbitmqDelivery';
import type * as consumerModule from '../src/messaging/consumer';
import { type ConsumerOptions } from '../src/messaging/consumer';
import type * as outboxModule from '../src/messaging/outbox';
import { type Outbox } from '../src/messaging/outbox';
import type * as outboxRowsModule from '../src/messaging/outboxRows';
import type * as closingRowsModule from '../src/orders/closingRows';
import type * as orderModule from '../src/orders/order';
import type * as watchRowsModule from '../src/orders/watchRows';
import type * as networkModule from './simulation/network';
import { substitute } from './substitute';

/** A mistake that a team could make, put into the running program in place of the right thing. */
export interface PlantedBug {
  /** What the program then does. */
  does: string;
  /** Called before anything of the product is loaded. */
  plant: () => void;
}

/**
 * Bugs to test the tests with. None of them is in the product: each replaces as little of it as makes the bug. Production refuses
 * them, as `substitute` does.
 */
export const plantedBugs: Record<string, PlantedBug> = {
  'no confirm timeout': { does: 'A confirm that never comes is waited for without end.', plant: noConfirmTimeout },
  'mark before confirm': {
    does: 'An event is taken out of the outbox as it is handed to the relay, before the broker has it.',
    plant: markBeforeConfirm,
  },
  'cursor polling': {
    does: 'The sweep looks only beyond what it has read: what was committed out of order, or failed once, is never seen.',
    plant: cursorPolling,
  },
  'ack before commit': { does: 'A message is acked as it comes, before anything is done about it.', plant: ackBeforeCommit },
  'no tombstone on cancel': {
    does: 'A cancel that comes before its order leaves nothing behind, and the late order holds stock nobody will let go.',
    plant: noTombstone,
  },
  'no inbox': { does: 'An answer that comes a second time decides the order a second time.', plant: repeatedReplyApplied },
  'publish without an outbox': {
    does: 'Events go to the broker from memory after the commit: what the process loses was never written down.',
    plant: publishWithoutOutbox,
  },
  'inbox outside the transaction': {
    does: 'A reservation is committed on a connection of its own, before the stock that it holds.',
    plant: inboxOutsideTransaction,
  },
  'no look at the stock': { does: 'Every order is granted; only the database is left to refuse.', plant: noLookAtStock },
  'locks in no order': { does: 'Stock rows are locked one by one, as the orders happen to name them.', plant: locksInNoOrder },
  'retry without the work': {
    does: 'After a rollback the messages are written again, and the effects are not.',
    plant: retryWithoutTheWork,
  },
  'release twice': { does: 'A repeated cancel lets go of the stock again.', plant: releaseTwice },
  'expiry by the clock of the process': {
    does: 'The watchdog asks its own clock, and not the database, whether a deadline has passed.',
    plant: expiryByProcessClock,
  },
  'not mandatory': {
    does: 'Nobody asks to hear when no queue takes an event, and no closing is told again.',
    plant: notMandatory,
  },
  'ack on another channel': {
    does: 'Deliveries of a channel that was lost are acked on the one that took its place.',
    plant: ackOnAnotherChannel,
  },
  'poison goes back': { does: 'What cannot be understood is put back into its queue.', plant: poisonGoesBack },
  'capture again': {
    does: 'A payment that is asked for a second time is taken a second time.',
    plant: captureAgain,
  },
  'keep the money': {
    does: 'A cancel lets the stock go, and accounts is not asked to give the money back.',
    plant: keepTheMoney,
  },
  'closings told once': { does: 'A cancel that inventory never heard of is not told again.', plant: closingsToldOnce },
};

function noConfirmTimeout(): void {
  const confirmTimeoutMs = 2 ** 31 - 1;
  substitute<typeof networkModule>('scripts/simulation/network', () => ({ confirmTimeoutMs }) as object);
  substitute<typeof rabbitmqModule>('src/messaging/brokers/rabbitmq', ({ connectRabbitmq }) => ({
    connectRabbitmq: (options) => connectRabbitmq({ ...options, confirmTimeoutMs }),
  }));
}

function markBeforeConfirm(): void {
  let removePublished: (typeof outboxRowsModule)['removePublished'];
  substitute<typeof outboxRowsModule>('src/messaging/outboxRows', (original) => {
    ({ removePublished } = original);
    return {};
  });
  substitute<typeof outboxModule>('src/messaging/outbox', ({ createOutbox }) => ({
    createOutbox: ({ database, schema, leaseMs, handOver }) =>
      createOutbox({
        ...{ database, schema, leaseMs },
        handOver: (rows) => {
          const positions = rows.map((row) => row.position);
          if (positions.length > 0) void removePublished(database, schema, positions).catch(() => undefined);
          handOver(rows);
        },
      }),
  }));
}

function cursorPolling(): void {
  const cursors = new WeakMap<object, bigint>();
  substitute<typeof outboxRowsModule>('src/messaging/outboxRows', ({ claimDue }) => ({
    claimDue: async (database, wanted) => {
      const cursor = cursors.get(database) ?? 0n;
      const rows = (await claimDue(database, { ...wanted, limit: 10_000 })).filter((row) => row.position > cursor);
      const taken = rows.slice(0, wanted.limit);
      if (taken.length > 0) cursors.set(database, taken.at(-1)!.position);
      return taken;
    },
  }));
}

function ackBeforeCommit(): void {
  substitute<typeof consumerModule>('src/messaging/consumer', ({ Consumer }) => ({
    Consumer: class extends Consumer {
      constructor(options: ConsumerOptions) {
        const consume: Broker['consume'] = (queue, limits, onDelivery) =>
          options.broker.consume(queue, limits, (delivery) => {
            delivery.ack();
            onDelivery(delivery);
          });
        super({ ...options, broker: { consume } as Broker });
      }
    },
  }));
}

function noTombstone(): void {
  substitute<typeof reservationRowsModule>('src/inventory/reservationRows', ({ insertReservations }) => ({
    insertReservations: async (tx, reservations) => {
      const real = reservations.filter((reservation) => reservation.status !== 'RELEASED');
      return reservations.length - real.length + (await insertReservations(tx, real));
    },
  }));
}

function repeatedReplyApplied(): void {
  substitute<typeof orderModule>('src/orders/order', ({ decide }) => ({
    decide: (order, change) =>
      order.status === 'CONFIRMED' && change.trigger === 'StockReserved'
        ? { type: 'changed', from: order.status, order: { ...order, version: order.version + 1 } }
        : decide(order, change),
  }));
}

/** Nothing is known of payments that were answered before, and nobody minds that they are there. */
function captureAgain(): void {
  substitute<typeof paymentRowsModule>('src/accounts/paymentRows', ({ insertPayments }) => ({
    findPayments: () => Promise.resolve(new Map()),
    insertPayments: async (tx, payments) => {
      await insertPayments(tx, payments);
      return payments.length;
    },
  }));
}

function keepTheMoney(): void {
  substitute<typeof orderModule>('src/orders/order', ({ tellingOf }) => ({
    tellingOf: (decision, trigger) => tellingOf(decision, trigger).filter((telling) => telling !== 'RefundPayment'),
  }));
}

function closingsToldOnce(): void {
  substitute<typeof closingRowsModule>('src/orders/closingRows', () => ({ takeUnanswered: () => Promise.resolve([]) }));
}

/** No consumer writes a batch in one statement, so that a bug in the transaction meets them all. */
function onlyTransactions(): void {
  substitute<typeof consumerModule>('src/messaging/consumer', ({ Consumer }) => ({
    Consumer: class extends Consumer {
      constructor(options: ConsumerOptions) {
        super({ ...options, decideAtOnce: undefined });
      }
    },
  }));
}

/** The rows of the outbox are gone again in the transaction that wrote them, or right after the statement that did. */
function publishWithoutOutbox(): void {
  let remove: (typeof outboxRowsModule)['removePublished'];
  substitute<typeof outboxRowsModule>('src/messaging/outboxRows', ({ append, removePublished }) => ({
    removePublished: (remove = removePublished),
    append: async (tx, schema, messages, leaseMs) => {
      const rows = await append(tx, schema, messages, leaseMs);
      const positions = rows.map((row) => row.position);
      await removePublished(tx as Database, schema, positions);
      return rows;
    },
  }));
  substitute<typeof outboxModule>('src/messaging/outbox', ({ createOutbox }) => ({
    createOutbox: (options) => {
      const outbox = createOutbox(options);
      const forgetting: Outbox['atOnce'] = (work) =>
        outbox.atOnce(async (at) => {
          const written = await work(at);
          const positions = written?.rows.map((row) => row.position) ?? [];
          if (positions.length > 0) await remove(at.database, options.schema, positions);
          return written;
        });
      return { ...outbox, atOnce: forgetting };
    },
  }));
}

function inboxOutsideTransaction(): void {
  onlyTransactions();
  // The simulation opens no database: there the reservation stays where it belongs.
  let database: Database | undefined;
  substitute<typeof clientModule>('src/database/client', ({ openDatabase }) => ({
    openDatabase: (options) => (database = openDatabase(options)),
  }));
  substitute<typeof reservationRowsModule>('src/inventory/reservationRows', ({ insertReservations }) => ({
    insertReservations: (tx, reservations) => insertReservations(database ?? tx, reservations),
  }));
}

function noLookAtStock(): void {
  const plenty = (row: Stock): Stock => ({ ...row, onHand: 1_000_000 });
  substitute<typeof stockModule>('src/inventory/stock', ({ decideReservations }) => ({
    decideReservations: (stock, wishes) => decideReservations(new Map([...stock].map(([id, row]) => [id, plenty(row)])), wishes),
  }));
}

function locksInNoOrder(): void {
  onlyTransactions();
  let calls = 0;
  substitute<typeof stockRowsModule>('src/inventory/stockRows', ({ lockStock }) => ({
    lockStock: async (tx, productIds) => {
      const ids = [...new Set(productIds)];
      if (calls++ % 2) ids.reverse();
      const locked = new Map<number, Stock>();
      for (const id of ids) for (const [key, row] of await lockStock(tx, [id])) locked.set(key, row);
      return locked;
    },
  }));
}

/** A second attempt finds what the work returned in the first, and nothing of what it wrote. */
function retryWithoutTheWork(): void {
  onlyTransactions();
  substitute<typeof outboxModule>('src/messaging/outbox', ({ createOutbox }) => ({
    createOutbox: (options) => {
      const outbox = createOutbox(options);
      return {
        ...outbox,
        transaction: (work, written) => {
          let done: ReturnType<typeof work> | undefined;
          return outbox.transaction((tx) => (done ??= work(tx)), written);
        },
      };
    },
  }));
}

/** Whatever has lines counts as ACTIVE. */
function releaseTwice(): void {
  substitute<typeof reservationRowsModule>('src/inventory/reservationRows', ({ lockReservations }) => ({
    lockReservations: async (tx, orderIds) => {
      const rows = await lockReservations(tx, orderIds);
      return new Map([...rows].map(([id, row]) => [id, row.lines.length > 0 ? { ...row, status: 'ACTIVE' as const } : row]));
    },
  }));
}

function expiryByProcessClock(): void {
  substitute<typeof watchRowsModule>('src/orders/watchRows', () => ({
    lockOverdue: async (tx: Transaction, limit: number) => {
      const rows = await tx.$queryRaw<{ id: string }[]>`
        SELECT id FROM orders.orders WHERE status = 'PENDING' AND deadline_at <= ${new Date()}
        ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED`;
      return rows.map(({ id }) => id);
    },
  }));
}

function notMandatory(): void {
  substitute<typeof topologyModule>('src/contracts/topology', ({ routes }) => {
    for (const route of Object.values(routes)) (route as { mandatory: boolean }).mandatory = false;
    return {};
  });
  closingsToldOnce();
}

function ackOnAnotherChannel(): void {
  const latest = new Map<string, Settlement>();
  substitute<typeof deliveryModule>('src/messaging/brokers/rabbitmqDelivery', ({ RabbitmqDelivery }) => ({
    RabbitmqDelivery: class extends RabbitmqDelivery {
      constructor(message: AmqpMessage, settlement: Settlement, options: DeliveryOptions) {
        const ack = (tag: number) => {
          const successor = latest.get(options.queue)!;
          if (successor.isOpen()) successor.acks.ack(tag);
          else setTimeout(ack, 20, tag).unref();
        };
        super(message, { ...settlement, acks: { ...settlement.acks, ack } }, options);
        latest.set(options.queue, settlement);
      }
    },
  }));
}

function poisonGoesBack(): void {
  type Inside = new (options: BatchSettlementOptions, stopping: AbortSignal) => { bury(delivery: Delivery): Promise<void> };
  substitute<typeof settlementModule>('src/messaging/batchSettlement', ({ BatchSettlement }) => ({
    BatchSettlement: class extends (BatchSettlement as unknown as Inside) {
      override bury(delivery: Delivery) {
        (delivery as unknown as { giveBack(): void }).giveBack();
        return Promise.resolve();
      }
    } as unknown as typeof BatchSettlement,
  }));
}
