import { type ForeignOrder } from '../../audit';
import { type Percentiles } from '../../simulate/report';

/** What orders a round consists of. */
export interface OrderShape {
  /** Different products in each order. */
  lines: number;
  productIds: number[];
  /** The first line of every order is of this product. */
  hotProductId?: number;
  seed: number;
}

/** One round of GraphQL requests. */
export interface LoadRequest extends OrderShape {
  urls: readonly string[];
  /** What gateways know the clients by; nothing for a server that asks nobody. */
  authorization?: string;
  /** Connections, each with one request at a time. */
  clients: number;
  /** Orders of each request: one by `createOrder`, more by `createOrders`. */
  batch: number;
  /** Stands in every idempotency key of the round, which is how its orders are found. */
  tag: string;
  warmUpMs: number;
  measuredMs: number;
  /** That no order at all is accepted is an outcome, and no fault of the round. */
  mayBeRefused?: boolean;
  /** Ends the round after so many orders, whatever the time. */
  ordersMax?: number;
  /** Sends at this pace, whether or not answers come; without it every client asks again as soon as it is answered. */
  ordersPerSecond?: number;
}

export interface LoadReply {
  /** Orders that were answered with an id, the warm-up's included. */
  accepted: number;
  /** Orders that were answered otherwise, orders that were not answered at all, and what was said of the first of either. */
  refused: number;
  broken: number;
  refusal?: string;
  /** Of the measured part alone, and of what was accepted in it. */
  acceptedPerSecond: number;
  answerMs?: Percentiles;
  /** When the first request was sent, and when the measured part began and ended: milliseconds since 1970. */
  startedAtMs: number;
  measuredFromMs: number;
  measuredToMs: number;
}

/** Starts the bare Apollo Server. */
export type CeilingRequest = Record<string, never>;
export interface CeilingReply {
  url: string;
}

/** One round of orders written to Postgres by hand. */
export interface FloorRequest extends OrderShape {
  databaseUrl: string;
  clients: number;
  tag: string;
  warmUpMs: number;
  measuredMs: number;
}

export interface FloorReply {
  orders: number;
  ordersPerSecond: number;
  answerMs?: Percentiles;
}

/** One round of a foreign order service. */
export interface IntakeRequest extends OrderShape {
  brokerUrl: string;
  /** Orders that wait for their answer at a time. */
  clients: number;
  tag: string;
  warmUpMs: number;
  measuredMs: number;
}

/** Its orders are those whose stock was reserved. */
export interface IntakeReply extends FloorReply {
  /** Orders that were rejected, though nothing is ever short, and orders without any answer. */
  refused: number;
  broken: number;
  foreign: ForeignOrder[];
}
