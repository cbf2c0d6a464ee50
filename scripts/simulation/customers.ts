import { type CloseOrderResult } from '../../src/orders/closeOrder';
import { type CreateOrderInput, type CreateOrderResult } from '../../src/orders/createOrder';
import { type OrderLine } from '../../src/orders/orderLines';
import { below, pick } from '../random';
import { count } from './coverage';
import { openForeignShop, type ForeignOrder } from './foreignShop';
import { type House } from './house';
import { Street } from './street';
import { type World } from './world';

/** What customers were told. It is kept outside of Holdfast: only that can show that something was lost. */
export interface Journal {
  acknowledged: { orderId: string; customerId: string; lines: OrderLine[] }[];
  closed: { orderId: string; status: 'CANCELLED' | 'FULFILLED' }[];
  foreign: ForeignOrder[];
  /** Customers who still want something. */
  busy: number;
}

/** Sends every customer of the plan through the shop, each at a time of its own, and writes down what they are told. */
export function openDoors(world: World): Journal {
  const { plan, scheduler } = world;
  const journal: Journal = { acknowledged: [], closed: [], foreign: openForeignShop(world), busy: 0 };
  const customers = new Customers(world, journal);
  for (let number = 1; number <= plan.orders; number++) customers.come(`customer ${number}`, () => customers.shop(number));
  const suppliers = plan.stock.filter(() => scheduler.chance(0.5));
  suppliers.forEach(() => customers.come('supplier', () => customers.restock()));
  return journal;
}

class Customers {
  private readonly street: Street;

  constructor(
    private readonly world: World,
    private readonly journal: Journal,
  ) {
    this.street = new Street(world);
  }

  come(who: string, work: () => Promise<void>): void {
    this.journal.busy++;
    this.street.visit(who, work, () => this.journal.busy--);
  }

  /** Orders, and then perhaps thinks better of it, wants more or less, fetches the goods, or orders again: all at once, as people do. */
  async shop(number: number): Promise<void> {
    const input = {
      ...{ customerId: `customer-${below(3, this.random)}`, items: this.someLines() },
      payment: this.chance(0.4) ? 'BALANCE' : null,
      idempotencyKey: this.chance(0.9) ? `key-${number}` : null,
    };
    const orderId = await this.order(input);
    if (orderId === undefined) return;
    await Promise.all([
      this.chance(0.25) ? this.close(orderId, 'CANCELLED') : undefined,
      this.chance(0.4) ? this.close(orderId, 'FULFILLED') : undefined,
      this.chance(0.5) ? this.update(orderId) : undefined,
      input.idempotencyKey !== null && this.chance(0.2) ? this.orderAgain(orderId, input) : undefined,
    ]);
  }

  async restock(): Promise<void> {
    const id = 1 + below(this.world.plan.stock.length, this.random);
    const delta = pick([-1, 1, 5, 20], this.random);
    await this.street.once((house) => house.inventory.adjustStock({ product: { id }, delta, reason: 'RECEIVED' }, 'restock'));
  }

  /** Places an order until it is told which, unless it is of the impatient or has no key to ask again with. */
  private async order(input: CreateOrderInput): Promise<string | undefined> {
    const place = (house: House) => house.orders.create(input, 'request');
    const isPatient = input.idempotencyKey !== null && this.chance(0.9);
    const isTwofold = isPatient && this.chance(0.1);
    if (isTwofold) count(this.world.coverage.faults, 'concurrent key');
    const ask = () => (isPatient ? this.street.insist(place) : this.street.once(place));
    const results = await Promise.all(isTwofold ? [ask(), ask()] : [ask()]);
    const [id, ...others] = results.map((result) => result && this.acknowledged(input, result));
    if (others.some((other) => other !== id)) this.wonder(`one key, two orders: ${id} and ${others.join()}`);
    return id;
  }

  private acknowledged(input: CreateOrderInput, result: CreateOrderResult): string | undefined {
    if (result.type !== 'placed') return void this.wonder(`${input.idempotencyKey} was answered ${result.type}`);
    const { id: orderId } = result.order;
    this.journal.acknowledged.push({ orderId, customerId: input.customerId, lines: input.items });
    return orderId;
  }

  /** The same key again: with the same wish it is the same order, with another wish it is refused. */
  private async orderAgain(orderId: string, input: CreateOrderInput): Promise<void> {
    await this.street.aWhile(5_000);
    const isOther = this.chance(0.5);
    count(this.world.coverage.faults, isOther ? 'conflicting key' : 'repeated key');
    const items = isOther ? [{ productId: 1, quantity: 777 }] : input.items;
    const result = await this.street.insist((house) => house.orders.create({ ...input, items }, 'again'));
    const isRight = isOther
      ? result.type === 'key-conflict' && result.orderId === orderId
      : result.type === 'placed' && result.order.id === orderId;
    if (!isRight) this.wonder(`${input.idempotencyKey} again was answered ${JSON.stringify(result)}`);
  }

  /** Asks until it is done, a few times: what is not confirmed yet cannot be fulfilled. Sometimes asks for what is done already. */
  private async close(orderId: string, status: 'CANCELLED' | 'FULFILLED'): Promise<void> {
    const ask = (house: House): Promise<CloseOrderResult> =>
      status === 'CANCELLED' ? house.orders.cancel(orderId) : house.orders.fulfil(orderId);
    for (let attempt = 1; attempt <= 4; attempt++) {
      await this.street.aWhile(pick([1, 200, 8_000], this.random));
      const result = await this.street.insist(ask);
      if (result.type === 'unknown-order') this.wonder(`${orderId} was acknowledged, and is unknown`);
      if (result.type !== 'done') continue;
      this.journal.closed.push({ orderId, status });
      if (this.chance(0.7)) return;
    }
  }

  /** Changes quantities, a few times; one answer in a hurry may be that it is not decided yet, or that another change is. */
  private async update(orderId: string): Promise<void> {
    for (let attempt = 1; attempt <= 3; attempt++) {
      await this.street.aWhile(pick([1, 200, 8_000], this.random));
      const items = this.someLines().map((line) => ({ ...line, quantity: below(5, this.random) }));
      const ask = (house: House) => house.orders.update({ orderId, items }, 'update');
      const result = await (this.chance(0.5) ? this.street.insist(ask) : this.street.once(ask));
      if (result?.type === 'unknown-order') this.wonder(`${orderId} was acknowledged, and is unknown`);
    }
  }

  /** Mostly of one product; else of all, beginning anywhere, so that orders meet on products in different orders. */
  private someLines(): OrderLine[] {
    const products = this.world.plan.stock.map((_, index) => index + 1);
    const from = below(products.length, this.random);
    const wanted = [...products.slice(from), ...products.slice(0, from)];
    const lines = this.chance(0.7) ? wanted.slice(0, 1) : wanted;
    return lines.map((productId) => ({ productId, quantity: 1 + below(3, this.random) }));
  }

  private get random() {
    return this.world.scheduler.random;
  }

  private chance(probability: number): boolean {
    return this.world.scheduler.chance(probability);
  }

  /** This must never happen. */
  private wonder(words: string): void {
    this.world.surprises.push(words);
  }
}
