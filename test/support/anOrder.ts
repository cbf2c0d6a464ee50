import { v7 as uuidv7 } from 'uuid';

import { createAccounts, type AccountsContext } from '../../src/accounts';
import { type AnyEvent, type EventOf, type EventType } from '../../src/contracts';
import { type Database } from '../../src/database';
import { createInventory, type InventoryContext } from '../../src/inventory';
import {
  createOutbox,
  type AfterCommit,
  type Decide,
  type IncomingMessage,
  type Outbox,
  type OutgoingMessage,
  type OutboxSchema,
} from '../../src/messaging';

/** An OrderCreated as it comes off the queue. */
export function anOrderCreated(
  orderId: string,
  ...lines: [productId: number, quantity: number][]
): IncomingMessage<'OrderCreated'> {
  const items = lines.map(([product_id, quantity]) => ({ product_id, quantity }));
  return incoming({ event: 'OrderCreated', order_id: orderId, items });
}

export function incoming<T extends EventType>(body: EventOf<T>): IncomingMessage<T> {
  return { id: uuidv7(), body, correlationId: 'test' };
}

/** For a handler whose effects beside the database nobody looks at. */
export const leaveOut: AfterCommit = () => undefined;

/** An outbox that nobody relays: what is committed stays in the table to be looked at. */
export function silentOutbox(database: Database, schema: OutboxSchema): Outbox {
  return createOutbox({ database, schema, leaseMs: 60_000, handOver: () => undefined });
}

export function accountsOn(database: Database): AccountsContext {
  return createAccounts({ database, outbox: silentOutbox(database, 'accounts'), currency: 'EUR', newId: uuidv7 });
}

export function inventoryOn(database: Database): InventoryContext {
  return createInventory({ database, outbox: silentOutbox(database, 'inventory'), currency: 'EUR', newId: uuidv7 });
}

/** Adds a product with so many units and gives its id. */
export async function aProduct(inventory: InventoryContext, onHand: number, more: { price?: number } = {}): Promise<number> {
  const sku = `SKU-${uuidv7()}`;
  const result = await inventory.createProduct({ sku, name: `Product ${sku}`, price: more.price ?? 1_999, onHand }, 'test');
  if (result.type !== 'done') throw new Error(`The product was refused: ${JSON.stringify(result)}`);
  return result.product.id;
}

/** Settles a batch as the consumer does: in one statement where that will do, else as `handle`; and gives the bodies of what follows. */
export async function settle(
  outbox: Outbox,
  decide: Decide,
  batch: IncomingMessage[],
  work: Parameters<typeof handle>[1],
): Promise<AnyEvent[]> {
  const bodies = await atOnce(outbox, decide, batch).catch(() => undefined);
  return bodies ?? handle(outbox, work);
}

/** undefined when one statement will not do. `meanwhile` happens between the decision and the writing of it. */
export function atOnce(
  outbox: Outbox,
  decide: Decide,
  batch: IncomingMessage[],
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<AnyEvent[] | undefined> {
  return outbox.atOnce(async (at) => {
    const decided = await decide(at.database, batch);
    await meanwhile();
    const rows = await decided?.write(at);
    return rows && { rows, result: rows.map((row) => JSON.parse(row.json) as AnyEvent) };
  });
}

/** Runs a handler as the consumer does: in one transaction, its messages into the outbox; and gives the bodies of these. */
export async function handle(
  outbox: Outbox,
  work: Parameters<Outbox['transaction']>[0] extends (tx: infer Tx) => unknown ? (tx: Tx) => Promise<OutgoingMessage[]> : never,
): Promise<AnyEvent[]> {
  return outbox.transaction(async (tx) => {
    const messages = await work(tx);
    return { result: messages.map((message) => message.body), messages };
  });
}
