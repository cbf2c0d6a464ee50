import { buildSchema, type ClassType } from 'type-graphql';

import { AccountResolver } from '../accounts';
import { serverCertificates } from '../config';
import { productDesk, rpcs } from '../contracts';
import { guardSchema } from '../graphql';
import {
  contractRoutes,
  createGraphql,
  playgroundRoutes,
  probeRoutes,
  restRoutes,
  startGrpcServer,
  startHttpServer,
  type GrpcServer,
} from '../gateway';
import { deskOver, productEndpoints, productMethods, ProductResolver, type InventoryContext } from '../inventory';
import { NotificationResolver } from '../notifications';
import { DeadLetterResolver } from '../operations';
import { orderEndpoints, orderMethods, OrderResolver } from '../orders';
import { version } from '../version';
import { type House } from './house';
import { type RoleName } from './roleNames';

/** Where this process is spoken to: over HTTP probes for every role, and for the gateway the doors of all contexts. */
export async function openDoors(names: readonly RoleName[], house: House) {
  const { config, log, metrics, health } = house;
  const isGateway = names.includes('gateway');
  const graphql = isGateway ? await graphqlDoor(names, house) : undefined;
  const rest = isGateway ? restDoor(house) : undefined;
  const contract = isGateway ? contractRoutes(version) : undefined;
  const routes = { ...probeRoutes({ health, metrics }), ...graphql?.routes, ...rest, ...contract };
  const listening = isGateway
    ? { port: config.PORT, portVariable: 'PORT' }
    : { port: config.WORKER_PORT, portVariable: 'WORKER_PORT' };
  const http = await startHttpServer({
    ...listening,
    host: config.HOST,
    tls: serverCertificates(config),
    routes,
    log,
    metrics,
    closeLimitMs: config.DRAIN_SECONDS * 1000,
  });
  const grpc = isGateway ? await orCloses(grpcDoor(house), http) : undefined;
  const close = async () => {
    await Promise.all([http.close(), grpc?.close()]);
    await graphql?.stop();
  };
  return { port: http.port, url: http.url, grpcTarget: grpc?.target, close };
}

/** What fails to open must not leave the door before it open. */
async function orCloses<T>(opening: Promise<T>, before: { close(): Promise<void> }): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    await before.close();
    throw error;
  }
}

function grpcDoor({ orders, inventory, config, health, identity, log }: House): Promise<GrpcServer> {
  return startGrpcServer({
    methods: [...orderMethods(orders), ...productMethods(inventory)],
    tls: serverCertificates(config),
    ...{ port: config.GRPC_PORT, host: config.HOST, messageLimitBytes: config.BODY_LIMIT_KIB * 1024 },
    ...{ health, identity, log, closeLimitMs: config.DRAIN_SECONDS * 1000 },
  });
}

async function graphqlDoor(names: readonly RoleName[], house: House) {
  const { orders, inventory, accounts, operations, notifications, config, identity, log, metrics } = house;
  const { playgroundLogin: login } = house;
  const production = config.NODE_ENV === 'production';
  const schema = await buildGraphqlSchema(
    new OrderResolver(orders),
    new ProductResolver(names.includes('inventory') ? inventory : inventoryElsewhere(house)),
    new AccountResolver(accounts),
    new DeadLetterResolver(operations),
    new NotificationResolver(notifications),
  );
  const bodyLimitBytes = config.BODY_LIMIT_KIB * 1024;
  const { handle, stop } = await createGraphql({
    schema,
    contextFor: (facts) => facts,
    identity,
    log,
    metrics,
    production,
    bodyLimitBytes,
  });
  return { routes: production ? { '/graphql': handle } : playgroundRoutes({ graphql: handle, login }), stop };
}

/**
 * A gateway on its own asks the inventory role what there is, and has it write products and stock, as it would when stock had a
 * database of its own; what else it reads of inventory it still reads from the database that all roles share.
 */
function inventoryElsewhere({ inventory, rpc }: House): InventoryContext {
  const desk = deskOver((asked, correlationId) => rpc.call(productDesk, asked, { correlationId, deadlineMs: DESK_DEADLINE_MS }));
  const checkStock: InventoryContext['checkStock'] = async (lines, correlationId) => {
    const items = lines.map(({ productId, quantity }) => ({ product_id: productId, quantity }));
    return (await rpc.call(rpcs.stockCheck, { items }, { correlationId })).items;
  };
  return { ...inventory, ...desk, checkStock };
}

/** A write may wait for the locks of a hot product. */
const DESK_DEADLINE_MS = 10_000;

function restDoor({ orders, inventory, config, identity, log }: House) {
  const sample = async () => {
    const [product] = await inventory.products({ active: true }, 1);
    return product && { customerId: 'CUST-SAMPLE', items: [{ productId: product.id, quantity: 1 }] };
  };
  const endpoints = [
    ...orderEndpoints(orders, config.NODE_ENV === 'production' ? undefined : sample),
    ...productEndpoints(inventory),
  ];
  return restRoutes({ endpoints, version, bodyLimitBytes: config.BODY_LIMIT_KIB * 1024, identity, log });
}

/** The schema of all contexts, with the rules of who may use what in front; zod checks the inputs, so type-graphql does not. */
export async function buildGraphqlSchema(
  ...resolvers: [OrderResolver, ProductResolver, AccountResolver, DeadLetterResolver, NotificationResolver]
) {
  const instances = new Map<unknown, object>(resolvers.map((resolver) => [resolver.constructor, resolver]));
  const schema = await buildSchema({
    resolvers: [OrderResolver, ProductResolver, AccountResolver, DeadLetterResolver, NotificationResolver],
    container: { get: (resolver: ClassType) => instances.get(resolver) },
    validate: false,
  });
  return guardSchema(schema);
}
