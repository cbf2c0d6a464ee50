import { deepStrictEqual } from 'node:assert/strict';

import fc from 'fast-check';

import { type AnyEvent } from '../../src/contracts';
import { PoisonMessage } from '../../src/messaging';
import { type Shop } from './shop';
import {
  adjust,
  aModelOrder,
  cancel,
  deliver,
  expire,
  fulfil,
  inWords,
  update,
  type ModelLine,
  type ModelOrder,
  type ShopModel,
} from './shopModel';

/** The model, and what was said: the post is what is not yet delivered, or will be once more. */
export interface Expectation extends ShopModel {
  post: Letter[];
  /** The OrderCreated of each order. */
  created: Letter[];
}

interface Letter {
  event: string;
  order: number;
  body: AnyEvent;
}

type Command = fc.AsyncCommand<Expectation, Shop>;
type Said = string[] | null;

/** Everything that can happen to the shop, as often and in whatever order chance has it. */
export function everyCommand(products: number): fc.Arbitrary<Command>[] {
  const number = fc.nat({ max: 1_000 });
  const line = fc.record({ product: fc.nat({ max: products - 1 }), quantity: fc.integer({ min: 1, max: 4 }) });
  const quantity = fc.record({ product: fc.nat({ max: products - 1 }), quantity: fc.nat({ max: 4 }) });
  const quantities = fc.uniqueArray(quantity, { selector: ({ product }) => product, minLength: 1, maxLength: products });
  const lines = fc.uniqueArray(line, { selector: ({ product }) => product, minLength: 1, maxLength: products });
  return [
    lines.map(create),
    ...[number, number, number].map((any) => any.map((at) => delivery('Deliver', at, true))),
    number.map((at) => delivery('CrashBeforeAck', at, false)),
    number.map((at) => onPost('Duplicate', at, (post, index) => post.push(post[index]!))),
    number.map((at) => onPost('Drop', at, (post, index) => post.splice(index, 1))),
    fc.tuple(number, number).map(([from, to]) => onPost(`Swap with ${to}`, from, (post, index) => swap(post, index, to))),
    number.map((at) => onOrder('Republish', at, () => republished)),
    ...[number, number].map((any) => fc.tuple(any, quantities).map(([at, wanted]) => updating(at, wanted))),
    number.map((at) => onOrder('Cancel', at, (order, shop, index) => told(cancel(order), shop.cancel(index)))),
    number.map((at) => onOrder('Fulfil', at, (order, shop, index) => told(fulfil(order), shop.fulfil(index)))),
    number.map((at) => onOrder('Expire', at, (order, shop, index) => told(expire(order), shop.expire(index)))),
    fc.record({ product: fc.nat({ max: products - 1 }), delta: fc.integer({ min: -3, max: 5 }) }).map(restock),
  ];
}

function updating(at: number, wanted: ModelLine[]): Command {
  const name = `Update to ${JSON.stringify(wanted)}`;
  return onOrder(name, at, (order, shop, index) => told(update(order, wanted), shop.update(index, wanted)));
}

function create(lines: ModelOrder['lines']): Command {
  return command(
    `CreateOrder ${JSON.stringify(lines)}`,
    () => true,
    async (model, shop) => {
      model.orders.push(aModelOrder(lines));
      await told(['OrderCreated'], shop.place(lines))(model, model.orders.length - 1);
      model.created.push(model.post.at(-1)!);
    },
  );
}

/** Handled; acked, or delivered again because the process died before its ack. */
function delivery(name: string, at: number, isAcked: boolean): Command {
  return command(`${name} ${at}`, hasPost, async (model, shop) => {
    const index = at % model.post.length;
    const { event, order, body } = model.post[index]!;
    if (isAcked) model.post.splice(index, 1);
    // Nobody consumes the other events.
    const amendment = body.amendment as number;
    if (deliver[event]) await told(deliver[event](model, model.orders[order]!, amendment), shop.deliver(body))(model, order);
  });
}

function onPost(name: string, at: number, change: (post: Letter[], index: number) => unknown): Command {
  return command(`${name} ${at}`, hasPost, ({ post }) => Promise.resolve(void change(post, at % post.length)));
}

type Told = (model: Expectation, order: number) => Promise<void>;

function onOrder(name: string, at: number, act: (order: ModelOrder, shop: Shop, index: number) => Told): Command {
  return command(
    `${name} ${at}`,
    ({ orders }) => orders.length > 0,
    async (model, shop) => {
      const index = at % model.orders.length;
      await act(model.orders[index]!, shop, index)(model, index);
    },
  );
}

function restock({ product, delta }: { product: number; delta: number }): Command {
  const name = delta < 0 ? 'Adjust' : 'Restock';
  return command(
    `${name} ${product} by ${delta}`,
    () => delta !== 0,
    async (model, shop) => {
      adjust(model, product, delta);
      await shop.adjust(product, delta);
    },
  );
}

/** What the shop says is what the model expects, and goes to the post. */
function told(expected: Said, said: Promise<AnyEvent[]>): Told {
  return async (model, order) => {
    const bodies = await said.catch((error: unknown) => {
      if (error instanceof PoisonMessage) return null;
      throw error;
    });
    deepStrictEqual(bodies?.map((body) => body.event) ?? null, expected);
    model.post.push(...(bodies ?? []).map((body) => ({ event: body.event, order, body })));
  };
}

/** What began an order is said again: by the watchdog, or from the dead letters. */
const republished: Told = (model, order) => Promise.resolve(void model.post.push(model.created[order]!));

/** After every command the invariants hold, and the shop is as the model says. */
function command(
  name: string,
  check: (model: Expectation) => boolean,
  act: (model: Expectation, shop: Shop) => Promise<void>,
): Command {
  return {
    check,
    toString: () => name,
    async run(model, shop) {
      await act(model, shop);
      deepStrictEqual(await shop.broken(), []);
      const orders = model.orders.map(({ status, held, lines }) => ({ status, held, lines: inWords(lines) }));
      deepStrictEqual(await shop.state(), { stock: model.stock, orders });
    },
  };
}

const hasPost = ({ post }: Expectation) => post.length > 0;

function swap(post: Letter[], from: number, to: number): void {
  const other = to % post.length;
  [post[from], post[other]] = [post[other]!, post[from]!];
}
