import { randomUUID } from 'node:crypto';
import {
  credentials,
  makeGenericClientConstructor,
  Metadata,
  status as statusCodes,
  type Client,
  type ServiceError,
} from '@grpc/grpc-js';

import { grpcServices } from '../../src/gateway';

/** An order as it comes over gRPC. */
export interface GrpcOrder {
  id: string;
  /** `ORDER_STATUS_CONFIRMED` and so on. */
  status: string;
  message: string;
  version: number;
  items: { productId: number; quantity: number }[];
  total: { minorUnits: number; currency: string } | null;
}

/** A call that did not end with OK. */
export interface GrpcFailure extends Error {
  /** The name of gRPC's status, such as NOT_FOUND. */
  status: string;
}

/** The gRPC door, as a client has it. */
export type Door = ReturnType<typeof openDoor>;

interface Line {
  sku: string;
  quantity: number;
}

/** How long one call may take; the server hears of it too. */
const DEADLINE_MS = 15_000;

/** `login`: the token that is shown. */
export function openDoor(target: string, login: () => Promise<string | undefined>) {
  const shown = login().then(metadataWith);
  const orders = clientOf('holdfast.v1.Orders', target);
  const inventory = clientOf('holdfast.v1.Inventory', target);
  return {
    async firstSku(): Promise<string | undefined> {
      const { products } = await call<{ products: { sku: string }[] }>(inventory, 'ListProducts', { pageSize: 1 }, await shown);
      return products[0]?.sku;
    },
    async place(request: { customerId: string; items: Line[] }): Promise<GrpcOrder> {
      const metadata = (await shown).clone();
      metadata.set('idempotency-key', randomUUID());
      return (await call<{ order: GrpcOrder }>(orders, 'PlaceOrder', request, metadata)).order;
    },
    async update(request: { orderId: string; items: Line[] }): Promise<GrpcOrder> {
      return (await call<{ order: GrpcOrder }>(orders, 'UpdateOrder', request, await shown)).order;
    },
    find: async (orderId: string) => call<GrpcOrder>(orders, 'GetOrder', { orderId }, await shown),
    cancel: async (orderId: string) => call<GrpcOrder>(orders, 'CancelOrder', { orderId }, await shown),
    untilDecided: async (orderId: string) =>
      firstOf(orders, await shown, orderId, ({ status }) => status !== 'ORDER_STATUS_PENDING'),
    close() {
      orders.close();
      inventory.close();
    },
  };
}

function metadataWith(token: string | undefined): Metadata {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

function clientOf(service: string, target: string): Client {
  const { [service]: definition } = grpcServices();
  return new (makeGenericClientConstructor(definition!, service))(target, credentials.createInsecure());
}

type Unary = (
  request: object,
  metadata: Metadata,
  options: object,
  answer: (error: ServiceError | null, value: unknown) => void,
) => void;

function call<T>(client: Client, method: string, request: object, metadata: Metadata): Promise<T> {
  const unary = (client as unknown as Record<string, Unary>)[method]!.bind(client);
  return new Promise((resolve, reject) => {
    unary(request, metadata, { deadline: Date.now() + DEADLINE_MS }, (error, value) => {
      if (error) reject(failureOf(error));
      else resolve(value as T);
    });
  });
}

interface OrderStream extends AsyncIterable<GrpcOrder> {
  cancel(): void;
}

/** The first state of the order that is as it should be. */
async function firstOf(
  client: Client,
  metadata: Metadata,
  orderId: string,
  isWanted: (order: GrpcOrder) => boolean,
): Promise<GrpcOrder> {
  const watching = (
    client as unknown as { WatchOrder: (request: object, metadata: Metadata, options: object) => OrderStream }
  ).WatchOrder({ orderId }, metadata, { deadline: Date.now() + DEADLINE_MS });
  try {
    for await (const order of watching) if (isWanted(order)) return order;
  } catch (error) {
    throw failureOf(error as ServiceError);
  } finally {
    watching.cancel();
  }
  throw new Error(`Order ${orderId} ended otherwise than it should.`);
}

function failureOf(error: ServiceError): GrpcFailure {
  return Object.assign(new Error(error.details, { cause: error }), { status: statusCodes[error.code] });
}
