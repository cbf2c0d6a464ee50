import { RefusedRequest, type Client } from '../simulate/client';
import { CUSTOMER_COUNT, demandOf, orderStream, type PlannedOrder, type StreamShape } from '../simulate/orderStream';
import { payIn } from '../simulate/deposits';
import { createProducts } from '../simulate/products';
import { below, seededRandom, type Random } from '../random';
import { type AuditedLine } from '../audit';
import { type Journal, type JournalEntry } from './journal';

/** The customers of a shop on a bad day: what they order, how they ask again, and what they change their minds about. */
export interface Workload {
  readonly customers: string[];
  readonly productIds: number[];
  readonly orders: number;
  /** Orders that got an answer so far. */
  placed(): number;
  /** Places every order, updates, cancels, fulfils and restocks; resolves when the last answer is there. */
  run(): Promise<void>;
}

export interface WorkloadOptions {
  seed: number;
  orders: number;
  /** How many clients order at a time. */
  clients: number;
  /** The orders are spread over at least so long, so that the faults meet them. */
  secondsMin: number;
  client: Client;
  journal: Journal;
  signal: AbortSignal;
}

/**
 * 70 % single lines, 25 % of 2 to 5, 5 % of up to 10, over products of which some are wanted far more than others and a third
 * are short; a quarter paid by balance, by customers of whom every fourth has too little; 10 % cancelled and 15 % fulfilled at some
 * moment, 5 % sent twice under one key, 2 % with other lines under it; one order in ten is changed, and a delivery of goods comes for
 * each twenty.
 */
const shape: Omit<StreamShape, 'seed' | 'orders'> = {
  ...{ hot: false, lines: [0.7, 0.25, 0.05], skewed: true },
  ...{ paid: 0.25, cancels: 0.1, fulfils: 0.15, duplicates: 0.05, conflicts: 0.02, foreign: 0 },
};
const RESTOCK_SHARE = 0.05;
const UPDATE_SHARE = 0.1;
const SECOND_THOUGHTS_MS = 3_000;

export async function prepareWorkload(options: WorkloadOptions): Promise<Workload> {
  const { seed, orders, client } = options;
  const stream = orderStream({ ...shape, seed, orders });
  // Every third product is short by half: rejections belong to the day.
  const stock = demandOf(stream).map((units, product) => (product % 3 === 2 ? Math.ceil(units / 2) : units + 10));
  const productIds = await createProducts(client, `chaos-${seed}`, stock);
  await payIn(client, `chaos-${seed}`, stream, (customer) => customerOf(seed, customer));
  const progress = { placed: 0 };
  return {
    customers: Array.from({ length: CUSTOMER_COUNT }, (_, customer) => customerOf(seed, customer)),
    ...{ productIds, orders },
    placed: () => progress.placed,
    run: () => new Customers(options, stream, productIds, progress).run(),
  };
}

class Customers {
  private readonly random: Random;
  private readonly secondThoughts = new Set<Promise<void>>();
  /** Why second thoughts came to nothing; the first ends the run. */
  private readonly failures: unknown[] = [];

  constructor(
    private readonly options: WorkloadOptions,
    private readonly stream: PlannedOrder[],
    private readonly productIds: number[],
    private readonly progress: { placed: number },
  ) {
    this.random = seededRandom(options.seed ^ 0x5eed);
  }

  async run(): Promise<void> {
    const { clients, secondsMin, signal } = this.options;
    const startedAt = performance.now();
    const paceMs = (secondsMin * 1_000) / this.stream.length;
    let next = 0;
    const order = async () => {
      while (next < this.stream.length && !signal.aborted && this.failures.length === 0) {
        const number = next++;
        const early = startedAt + number * paceMs - performance.now();
        if (early > 0) await pause(early);
        await this.place(this.stream[number]!);
        this.progress.placed++;
      }
    };
    await Promise.all(Array.from({ length: clients }, order));
    while (this.secondThoughts.size > 0) await Promise.all(this.secondThoughts);
    if (this.failures.length > 0) throw this.failures[0];
  }

  private async place(planned: PlannedOrder): Promise<void> {
    const order = this.inputOf(planned);
    const copies = planned.duplicate === 'beside' ? 2 : 1;
    const [orderId] = await Promise.all(Array.from({ length: copies }, () => this.send(order)));
    if (planned.duplicate === 'after') await this.send(order);
    if (planned.conflict)
      await this.send({ ...order, items: order.items.map((line) => ({ ...line, quantity: line.quantity + 1 })) });
    if (orderId === undefined) return;
    if (planned.cancel) this.later(() => this.close('cancel', orderId));
    else if (planned.fulfil) this.later(() => this.close('fulfil', orderId));
    if (this.random() < UPDATE_SHARE) this.later(() => this.update(orderId, order.items[0]!.productId));
    if (this.random() < RESTOCK_SHARE) this.later(() => this.restock());
  }

  private inputOf({ number, customer, lines, paid }: PlannedOrder): OrderInput {
    const { seed } = this.options;
    const items = lines.map(({ product, quantity }) => ({ productId: this.productIds[product]!, quantity }));
    const payment = paid ? ('BALANCE' as const) : ('NONE' as const);
    return { customerId: customerOf(seed, customer), idempotencyKey: `chaos-${seed}-${number}`, items, payment };
  }

  /** Whatever a gateway calls an order is in the journal with the lines that were sent for it. */
  private async send(input: OrderInput): Promise<string | undefined> {
    const { customerId, idempotencyKey, items: lines } = input;
    await this.note({ what: 'create', customerId, idempotencyKey, lines });
    const answer = await this.options.client
      .ask<{ createOrder: Answer }>(creation, { input })
      .then(({ createOrder }) => createOrder, asRefusal);
    if (answer.id !== undefined) await this.note({ what: 'created', customerId, idempotencyKey, lines, orderId: answer.id });
    else if (answer.code === 'IDEMPOTENCY_CONFLICT') await this.note({ what: 'conflict', idempotencyKey });
    else await this.note({ what: 'refused', idempotencyKey, why: answer.message ?? 'without a reason' });
    return answer.id;
  }

  private later(work: () => Promise<void>) {
    const thought: Promise<void> = pause(below(SECOND_THOUGHTS_MS, this.random))
      .then(work)
      .catch((error: unknown) => void this.failures.push(error))
      .finally(() => this.secondThoughts.delete(thought));
    this.secondThoughts.add(thought);
  }

  /** A warehouse asks again while the order is undecided; an order that was cancelled meanwhile is let be. */
  private async close(what: 'cancel' | 'fulfil', orderId: string): Promise<void> {
    await this.note({ what, orderId });
    const did = what === 'cancel' ? 'cancelled' : 'fulfilled';
    for (let attempt = 1; attempt <= CLOSING_ATTEMPTS_MAX && !this.options.signal.aborted; attempt++) {
      const { closed } = await this.options.client.ask<{ closed: { __typename: string; status?: string } }>(closings[what], {
        orderId,
      });
      if (closed.__typename === 'Order') return this.note({ what: did, orderId, done: true });
      if (closed.status !== 'PENDING' && closed.status !== 'RESERVED') break;
      await pause(1_000);
    }
    await this.note({ what: did, orderId, done: false });
  }

  /** One product more or less. What becomes of it the database says: an order that is not CONFIRMED, or is fulfilled, stays as it is. */
  private async update(orderId: string, productId: number): Promise<void> {
    const input = { orderId, items: [{ productId, quantity: 1 + below(5, this.random) }] };
    await this.options.client.ask(updating, { input });
  }

  /** Goods come in. Not repeated when no answer comes: a delivery that is booked twice would be the clerk's fault. */
  private async restock(): Promise<void> {
    const productId = this.productIds[below(this.productIds.length, this.random)]!;
    await this.options.client.ask(restocking, { productId, delta: 1 + below(5, this.random) }, 0).catch(() => undefined);
  }

  private note(entry: Unstamped<JournalEntry>): Promise<void> {
    return this.options.journal.write({ at: new Date().toISOString(), ...entry });
  }
}

const CLOSING_ATTEMPTS_MAX = 60;

export function customerOf(seed: number, customer: number): string {
  return `chaos-${seed}-${customer}`;
}

interface OrderInput {
  customerId: string;
  idempotencyKey: string;
  items: AuditedLine[];
  payment: 'NONE' | 'BALANCE';
}

interface Answer {
  id?: string;
  code?: string;
  message?: string;
}

type Unstamped<T> = T extends unknown ? Omit<T, 'at'> : never;

function asRefusal(error: unknown): Answer {
  if (error instanceof RefusedRequest) return { message: error.message };
  throw error;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const creation = `mutation ($input: CreateOrderInput!) {
  createOrder(input: $input) { ... on Order { id } ... on ErrorResult { code message } }
}`;

const closing = (field: string) => `mutation ($orderId: ID!) {
  closed: ${field}(orderId: $orderId) { __typename ... on OrderStateError { status } }
}`;

const closings = { cancel: closing('cancelOrder'), fulfil: closing('fulfilOrder') };

const updating = `mutation ($input: UpdateOrderInput!) { updateOrder(input: $input) { __typename } }`;

const restocking = `mutation ($productId: Int!, $delta: Int!) {
  adjustStock(input: { productId: $productId, delta: $delta, reason: RECEIVED }) { __typename }
}`;
