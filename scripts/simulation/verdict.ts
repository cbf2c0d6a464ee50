import { type AnyEvent } from '../../src/contracts';
import { keyOf } from '../../src/inventory/amendmentRows';
import { isDecided } from '../../src/orders/order';
import { type Journal } from './customers';
import { type Books, type Line, type MovementRow, type OrderRow, type StockRow } from './books';
import { type World } from './world';

/** A promise that does not hold, in words. The groups are those of the audit. */
export interface Violation {
  group: 'lost' | 'duplicated' | 'stuck' | 'oversold' | 'unpaid' | 'unearned' | 'mismatched';
  words: string;
}

type Found = Generator<Violation>;

/** What must hold in every committed state: counters and balances are possible, and are what was written of them adds up to. */
export function* snapshotBreaks(books: Books): Found {
  yield* stockBreaks(books);
  yield* balanceBreaks(books);
}

function* stockBreaks({ stock, movements, reservations }: Books): Found {
  const active = [...reservations.values()]
    .filter((reservation) => reservation.status === 'ACTIVE')
    .flatMap(({ lines }) => lines);
  for (const { productId, onHand, reserved } of stock.values()) {
    const moved = sumOf([...movements.values()].filter((movement) => movement.productId === productId));
    const held = unitsOf(productId, active);
    const words = `product ${productId}: on hand ${onHand}, moved ${moved.onHand}; reserved ${reserved}, moved ${moved.reserved}, held ${held}`;
    const isPossible = 0 <= reserved && reserved <= onHand;
    if (!isPossible || onHand !== moved.onHand || reserved !== moved.reserved || reserved !== held)
      yield { group: 'oversold', words };
  }
}

function* balanceBreaks({ accounts, entries }: Books): Found {
  for (const { customerId, balance } of accounts.values()) {
    const booked = [...entries.values()].reduce((sum, entry) => sum + (entry.customerId === customerId ? entry.amount : 0), 0);
    if (balance < 0 || balance !== booked)
      yield { group: 'mismatched', words: `${customerId}: balance ${balance}, booked ${booked}` };
  }
}

/** What must hold when all has come to rest: the promises of the audit, and what customers were told. */
export function* breaksAtRest(world: World, journal: Journal): Found {
  const { books } = world.database;
  yield* snapshotBreaks(books);
  yield* lost(books, journal);
  for (const order of books.orders.values()) {
    yield* historyBreaks(order);
    yield* holdingBreaks(books, order);
    yield* paymentBreaks(books, order);
  }
  yield* movementBreaks(books);
  for (const product of books.stock.values()) yield* oversold(books, product);
  yield* untold(world);
  yield* foreignBreaks(world, journal);
  yield* amendmentBreaks(world.database.books);
}

function* lost(books: Books, { acknowledged, closed }: Journal): Found {
  const { orders } = books;
  for (const { orderId, customerId, lines } of acknowledged) {
    const order = orders.get(orderId);
    if (order?.customerId !== customerId)
      yield { group: 'lost', words: `${orderId} of ${customerId} was acknowledged and is not there` };
    else if (inWords(linesAtFirst(books, order)) !== inWords(lines)) {
      yield { group: 'lost', words: `${orderId}: sent ${inWords(lines)}, stored ${inWords(linesAtFirst(books, order))}` };
    }
  }
  for (const { orderId, status } of closed) {
    const now = orders.get(orderId)?.status;
    if (now !== status) yield { group: 'lost', words: `${orderId} was acknowledged as ${status} and is ${now}` };
  }
}

/** As they were placed, whatever was changed since. */
function linesAtFirst({ amendments }: Books, order: OrderRow): Pick<Line, 'productId' | 'quantity'>[] {
  const applied = [...amendments.values()].filter(({ orderId, status }) => orderId === order.id && status === 'APPLIED');
  return applied.sort((a, b) => a.number - b.number)[0]?.before ?? order.lines;
}

/** What became of each change is what inventory answered to it, and it was applied once. */
function* amendmentBreaks({ amendments, answers, orders }: Books): Found {
  for (const { orderId, number, status } of amendments.values()) {
    const answer = answers.get(keyOf({ orderId, number }))?.answer.event ?? 'nothing';
    const isRight = status === 'OVERTAKEN' || answer === (status === 'APPLIED' ? 'StockAmended' : 'AmendmentRejected');
    if (!isRight) yield { group: 'mismatched', words: `${orderId}: change ${number} is ${status}, inventory answered ${answer}` };
  }
  for (const { id, history } of orders.values()) {
    const applied = [...amendments.values()].filter(({ orderId, status }) => orderId === id && status === 'APPLIED').length;
    const told = history.filter(({ event }) => event === 'StockAmended').length;
    if (applied !== told) yield { group: 'duplicated', words: `${id}: ${applied} changes applied, ${told} in its history` };
  }
}

const steps = [
  ...['null PENDING', 'PENDING CONFIRMED', 'PENDING CANCELLED', 'CONFIRMED FULFILLED', 'CONFIRMED CANCELLED'],
  ...['PENDING RESERVED', 'RESERVED CONFIRMED', 'RESERVED CANCELLED'],
  'CONFIRMED CONFIRMED',
];

function* historyBreaks({ id, status, history, version }: OrderRow): Found {
  if (!isDecided(status)) yield { group: 'stuck', words: `${id} is ${status}` };
  for (const [index, { from, to, version: place }] of history.entries()) {
    const isNext = place === index + 1 && from === (history[index - 1]?.to ?? null);
    if (!isNext || !steps.includes(`${from} ${to}`))
      yield { group: 'duplicated', words: `${id}: ${from} to ${to} as version ${place}` };
  }
  const last = history.at(-1)!;
  if (last.to !== status || last.version !== version) {
    yield { group: 'mismatched', words: `${id} is ${status}, its history ends in ${last.to}` };
  }
}

function* holdingBreaks({ reservations }: Books, { id, status, lines }: OrderRow): Found {
  const reservation = reservations.get(id);
  const state = reservation?.status ?? 'none';
  const words = `${id} is ${status}, its reservation ${state} of ${inWords(reservation?.lines ?? [])}`;
  if (status === 'CANCELLED' && (state === 'ACTIVE' || state === 'COMMITTED')) yield { group: 'mismatched', words };
  if (status !== 'CONFIRMED' && status !== 'FULFILLED') return;
  const isRight = state === (status === 'CONFIRMED' ? 'ACTIVE' : 'COMMITTED') && inWords(lines) === inWords(reservation!.lines);
  if (!isRight) yield { group: 'mismatched', words };
}

/** No money is kept for an order that is off, and no goods are given for money that was not taken: in sum, and by the entries. */
function* paymentBreaks({ payments, entries }: Books, { id, status, payment, lines }: OrderRow): Found {
  const isDue = payment !== 'NONE' && (status === 'CONFIRMED' || status === 'FULFILLED');
  const price = lines.reduce((sum, line) => sum + line.quantity * (line.unitPrice ?? 0), 0);
  const taken = [...entries.values()].reduce((sum, entry) => sum - (entry.orderId === id ? entry.amount : 0), 0);
  const isCaptured = payments.get(id)?.status === 'CAPTURED';
  const words = `${id} is ${status} with payment ${payment} of ${price}; taken ${taken}, payment ${payments.get(id)?.status}`;
  const isRight = isCaptured === isDue && taken === (isDue ? price : 0);
  if (!isRight) yield { group: isDue ? 'unpaid' : 'unearned', words };
}

/** What was ever reserved moved each line once, and once for each change: together by its quantity; and nothing else moved for an order. */
function* movementBreaks({ reservations, movements }: Books): Found {
  const units = new Map<string, number>();
  for (const { orderId, productId, kind, reservedDelta } of movements.values()) {
    const line = `${orderId} ${productId}`;
    if (kind === 'RESERVE' || kind === 'AMEND') units.set(line, (units.get(line) ?? 0) + reservedDelta);
  }
  const moved = [...units].filter(([, sum]) => sum !== 0).map(([line, sum]) => `${line}×${sum}`);
  const held = [...reservations.values()].flatMap(({ orderId, lines }) =>
    lines.map((line) => `${orderId} ${line.productId}×${line.quantity}`),
  );
  if (moved.sort().join() !== held.sort().join()) {
    yield { group: 'duplicated', words: `reserved by movements ${moved.join()}; by reservations ${held.join()}` };
  }
}

function* oversold({ orders, movements }: Books, { productId }: StockRow): Found {
  const sold = [...orders.values()].filter((order) => order.status === 'CONFIRMED' || order.status === 'FULFILLED');
  const units = unitsOf(
    productId,
    sold.flatMap((order) => order.lines),
  );
  const had = sumOf([...movements.values()].filter((row) => row.productId === productId && row.kind !== 'COMMIT')).onHand;
  if (units > had) yield { group: 'oversold', words: `product ${productId}: sold ${units} of ${had}` };
}

const eventOf = {
  PENDING: 'OrderCreated',
  RESERVED: 'OrderReserved',
  CONFIRMED: 'OrderConfirmed',
  CANCELLED: 'OrderCancelled',
  FULFILLED: 'OrderFulfilled',
};

/** Every step of every order was told to the world at least once. */
function* untold({ database, published }: World): Found {
  const told = new Set(
    published.filter(({ properties }) => properties.type?.startsWith('Order')).map(({ body }) => tellingOf(body)),
  );
  for (const { id, history } of database.books.orders.values()) {
    for (const { to, version, event } of history) {
      const telling = `${event === 'StockAmended' ? 'OrderUpdated' : eventOf[to]} ${id} ${to === 'PENDING' ? 1 : version}`;
      if (!told.has(telling)) yield { group: 'lost', words: `nobody was told: ${telling}` };
    }
  }
}

/** Orders of another service live in inventory alone: each was answered, and holds its lines, or nothing when it was cancelled. */
function* foreignBreaks({ database, published }: World, { foreign }: Journal): Found {
  const answered = new Set(
    published.filter(({ properties }) => properties.type?.startsWith('Stock')).map(({ body }) => aboutOf(body)),
  );
  for (const { orderId, lines, isCancelled } of foreign) {
    const { status, lines: held = [] } = database.books.reservations.get(orderId) ?? {};
    const words = `${orderId}${isCancelled ? ', cancelled,' : ''} has a reservation ${status} of ${inWords(held)}`;
    if (status === undefined || !answered.has(orderId)) yield { group: 'lost', words: `${orderId} was not answered` };
    if (status === 'ACTIVE' && (isCancelled || inWords(held) !== inWords(lines))) yield { group: 'mismatched', words };
    if (status === 'RELEASED' && !isCancelled) yield { group: 'mismatched', words };
  }
}

function aboutOf(body: Buffer): string {
  return String((JSON.parse(body.toString()) as AnyEvent).order_id);
}

function tellingOf(body: Buffer): string {
  const event = JSON.parse(body.toString()) as AnyEvent & { version?: number };
  return `${event.event} ${String(event.order_id)} ${event.version ?? 1}`;
}

function inWords(lines: Pick<Line, 'productId' | 'quantity'>[]): string {
  const sorted = [...lines].sort((a, b) => a.productId - b.productId);
  return sorted.map(({ productId, quantity }) => `${productId}×${quantity}`).join(' ');
}

function unitsOf(productId: number, lines: Line[]): number {
  return lines.reduce((sum, line) => sum + (line.productId === productId ? line.quantity : 0), 0);
}

function sumOf(movements: MovementRow[]): { onHand: number; reserved: number } {
  const sum = { onHand: 0, reserved: 0 };
  for (const { onHandDelta, reservedDelta } of movements) {
    sum.onHand += onHandDelta;
    sum.reserved += reservedDelta;
  }
  return sum;
}
