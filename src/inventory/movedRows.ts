import { sql, type Database, type MovementKind } from '../database';

/** That the stock of a product has moved. */
export interface Moved {
  /** The id of the movement. */
  position: bigint;
  productId: number;
  kind: MovementKind;
  onHandDelta: number;
  reservedDelta: number;
  orderId: string | null;
  at: Date;
}

const columns = sql`movements.id AS position, product_id AS "productId", kind::text AS kind, on_hand_delta AS "onHandDelta",
  reserved_delta AS "reservedDelta", order_id AS "orderId", at`;

/** Movements after a position, in their order. Raw, because it is asked many times a second while anybody listens. */
export function movedAfter(database: Database, after: bigint, limit: number): Promise<Moved[]> {
  return database.$queryRaw`SELECT ${columns} FROM inventory.movements WHERE id > ${after} ORDER BY id LIMIT ${limit}`;
}

/** The movements that somebody has missed. */
export function missedMovements(database: Database, { after, upTo, limit }: Missed): Promise<Moved[]> {
  return database.$queryRaw`
    SELECT ${columns} FROM inventory.movements WHERE id > ${after} AND id <= ${upTo} ORDER BY id LIMIT ${limit}`;
}

export interface Missed {
  after: bigint;
  upTo: bigint;
  limit: number;
}

/**
 * The movements of these products that somebody has missed, the last of each product in a stretch: what it was in between nobody is
 * told. Product by product, because the movements of all the others may be many.
 */
export function missedMoves(database: Database, productIds: number[], { after, upTo, limit }: Missed): Promise<Moved[]> {
  return database.$queryRaw`
    SELECT last.* FROM unnest(${productIds}::int[]) AS wanted(id), LATERAL (
      SELECT ${columns} FROM inventory.movements WHERE product_id = wanted.id AND movements.id <= ${upTo} ORDER BY movements.id DESC LIMIT 1
    ) AS last
    WHERE last.position > ${after} ORDER BY last.position LIMIT ${limit}`;
}
