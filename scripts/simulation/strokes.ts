import { queues } from '../../src/contracts';
import { type Publication } from '../../src/messaging';
import { changeOrders } from '../../src/orders/changeOrders';
import { below, pick } from '../random';
import { count } from './coverage';
import { type Stroke } from './plan';
import { type World } from './world';

/** Lets every kind of fault of the plan strike again and again until the storm is over, and then mends everything. */
export function brew(world: World): void {
  const { plan, scheduler } = world;
  for (const [stroke, meanGapMs] of Object.entries(plan.strokes)) again(stroke as Stroke, meanGapMs);
  world.database.faults = plan.database;
  world.broker.faults = plan.broker;
  world.later(plan.stormMs, 'the storm is over', () => heal(world));

  function again(stroke: Stroke, meanGapMs: number): void {
    world.later(scheduler.between(0, 2 * meanGapMs), `strikes: ${stroke}`, () => {
      if (scheduler.nowMs >= plan.stormMs) return;
      // A death at a failpoint is counted when it comes.
      if (strike[stroke](world) !== false && stroke !== 'crash at a failpoint') count(world.coverage.faults, stroke);
      again(stroke, meanGapMs);
    });
  }
}

function heal(world: World): void {
  const { database, broker } = world;
  database.faults = { ...database.faults, serialization: 0, deadlock: 0, lostBeforeCommit: 0, ambiguousCommit: 0 };
  broker.faults = { ...broker.faults, lostPublication: 0, lostConfirm: 0, confirmedAndLost: 0, duplicate: 0 };
  database.isDown = broker.isDown = false;
  world.passagesLeft = 0;
}

/** What each kind of fault does. False when there was nothing for it to strike. */
const strike: Record<Stroke, (world: World) => boolean | void> = {
  crash: (world) => {
    const one = world.pickUp();
    if (!one) return false;
    world.crash(one);
  },
  'crash at a failpoint': (world) => world.armFailpoint(),
  pause,
  restart,
  'clock jump': (world) => {
    const one = world.pickUp();
    if (!one) return false;
    one.process.clockErrorMs = world.scheduler.between(-3_600_000, 3_600_000);
  },
  'connection cut': (world) => {
    const one = world.pickUp();
    if (!one || world.plan.shape === 'embedded') return false;
    world.broker.cut(one.process);
  },
  'broker down': (world) => {
    if (world.plan.shape === 'embedded') return false;
    world.broker.isDown = true;
    world.broker.cut();
    world.later(world.scheduler.between(500, 10_000), 'the broker is back', () => (world.broker.isDown = false));
  },
  'database down': (world) => {
    world.database.goDown();
    world.later(world.scheduler.between(200, 6_000), 'the database is back', () => (world.database.isDown = false));
  },
  poison: (world) => world.send(poison(world)),
  'stray answer': strayAnswer,
  replay: (world) => {
    if (world.published.length === 0) return false;
    world.send(pick(world.published, world.scheduler.random));
  },
  'stray expiry': strayExpiry,
  'stray payment answer': strayPaymentAnswer,
};

/** As SIGSTOP: all of it waits. After 15 s Postgres ends its transactions, and RabbitMQ hears no heartbeat. */
function pause(world: World): boolean | void {
  const one = world.pickUp();
  if (!one) return false;
  const { scheduler } = world;
  const lengthMs = scheduler.between(200, 25_000);
  one.process.pausedUntilMs = scheduler.nowMs + lengthMs;
  if (lengthMs < IDLE_IN_TRANSACTION_MS) return;
  world.later(IDLE_IN_TRANSACTION_MS, `${one.spec.name} is silent for too long`, () => {
    world.database.endSessionsOf(one.process);
    world.broker.cut(one.process);
  });
}

const IDLE_IN_TRANSACTION_MS = 15_000;

/** As SIGTERM, in the order of `roles.ts`; then a new one. */
function restart(world: World): boolean | void {
  const one = world.pickUp();
  if (!one) return false;
  const { house, process, spec, broker } = one;
  world.running.get(spec.name)!.house = undefined;
  world.scheduler.at(0, process, 'stops', () => {
    void house
      .stop()
      .then(() => broker.close())
      .then(() => world.later(0, `${spec.name} has stopped`, () => world.crash(one)));
  });
}

/** What no handler can make anything of; the envelope of it is in order. */
function poison({ scheduler, newId }: World): Publication {
  const { orderCreated, orderCancelled, orderFulfilled, amendReservation, stockReplies } = queues;
  const { orderReserved, paymentClosings, paymentReplies } = queues;
  const ofStock = [orderCreated, orderCancelled, orderFulfilled, amendReservation, stockReplies];
  const routingKey = pick([...ofStock, orderReserved, paymentClosings, paymentReplies], scheduler.random);
  const body = pick(
    ['', '{', '[]', '{"event":"Nonsense"}', '{"event":"OrderCreated","order_id":"ORD-1","items":[]}'],
    scheduler.random,
  );
  const properties = { messageId: `poison-${newId()}`, type: 'poison', headers: {} };
  return { exchange: '', routingKey, body: Buffer.from(body), properties, mandatory: true };
}

/** A plainer inventory service, or an older one, says no to an order, and answers changes of it; whether it was asked or not. */
function strayAnswer(world: World): boolean | void {
  const order_id = anyOrder(world);
  if (order_id === undefined) return false;
  const items = [{ product_id: 1, quantity: 1, unit_price: 1 }];
  const answers = [
    { event: 'StockRejected', order_id, reason: 'Insufficient stock' },
    // No order is changed so often.
    { event: 'StockAmended', order_id, amendment: 999, items },
    { event: 'AmendmentRejected', order_id, amendment: 999, code: 'EXPIRED', reason: 'Too late' },
  ];
  for (const answer of answers) {
    const body = Buffer.from(JSON.stringify(answer));
    const properties = { messageId: world.newId(), type: 'stray answer', headers: { 'cloudEvents:subject': order_id } };
    world.send({ exchange: '', routingKey: queues.stockReplies, body, properties, mandatory: true });
  }
}

/** A watchdog that looked before it locked: the order may be in any state by now. */
function strayExpiry(world: World): boolean | void {
  const orderId = anyOrder(world);
  const one = world.pickUp('orders');
  if (orderId === undefined || !one) return false;
  const reason = { code: 'EXPIRED' as const, message: 'expired by another watchdog', lines: [] };
  const { outbox } = one.house;
  world.scheduler.at(0, one.process, `expires ${orderId}`, () => {
    const expiry = outbox.transaction(async (tx) => {
      const [outcome] = await changeOrders(tx, [{ orderId, trigger: 'ExpireOrder', reason }], {
        newId: world.newId,
        tellAgainAfterMs: world.plan.settings.republishAfterMs,
      });
      return { result: undefined, messages: outcome?.messages ?? [] };
    });
    expiry.catch(() => undefined);
  });
}

/**
 * Another accounts service, or an older one, answers for an order without having been asked. It never takes the right sum: for an
 * order that waits for its payment that is a message nobody can act on.
 */
function strayPaymentAnswer(world: World): boolean | void {
  const orderId = anyUnpaid(world) ?? anyOrder(world);
  if (orderId === undefined) return false;
  const body = pick<object>(
    [
      { event: 'PaymentCaptured', order_id: orderId, customer_id: 'customer-0', amount: 1, currency: 'EUR' },
      { event: 'PaymentDeclined', order_id: orderId, reason: 'no account' },
      { event: 'PaymentRefunded', order_id: orderId, amount: 0 },
      { event: 'PaymentUnknown', order_id: orderId },
    ],
    world.scheduler.random,
  );
  const properties = { messageId: `poison-${world.newId()}`, type: 'stray payment answer', headers: {} };
  world.send({
    ...{ exchange: '', routingKey: queues.paymentReplies, body: Buffer.from(JSON.stringify(body)), properties },
    mandatory: true,
  });
}

/** One that waits for its payment: it is so for a moment only, and there the answer decides it. */
function anyUnpaid({ database, scheduler }: World): string | undefined {
  const waiting = [...database.books.orders.values()].filter(({ status }) => status === 'RESERVED');
  return waiting.length === 0 || scheduler.chance(0.5) ? undefined : pick(waiting, scheduler.random).id;
}

function anyOrder({ database, scheduler }: World): string | undefined {
  const ids = [...database.books.orders.keys()];
  return ids.length === 0 ? undefined : ids[below(ids.length, scheduler.random)];
}
