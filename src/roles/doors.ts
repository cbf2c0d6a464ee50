import { buildSchema, type ClassType } from 'type-graphql';

import { AccountResolver } from '../accounts';
import { serverCertificates, type Config } from '../config';
import { productDesk, rpcs } from '../contracts';
import { guardSchema, noPubSub, withResolvers } from '../graphql';
import {
  contractRoutes,
  createAddressOf,
  createGraphql,
  QueryTurns,
  ReadingTurns,
  runningCostOf,
  createLiveDoor,
  playgroundRoutes,
  probeRoutes,
  RateLimits,
  restRoutes,
  startGrpcServer,
  startHttpServer,
  type Admission,
  type GrpcServer,
} from '../gateway';
import { deskOver, productEndpoints, productMethods, ProductResolver, type InventoryContext } from '../inventory';
import { NotificationResolver } from '../notifications';
import { DeadLetterResolver, EventResolver } from '../operations';
import { orderEndpoints, orderMethods, OrderResolver } from '../orders';
import { version } from '../version';
import { type House } from './house';
import { type RoleName } from './roleNames';

/** Where this process is spoken to: over HTTP probes for every role, and for the gateway the doors of all contexts. */
export async function openDoors(names: readonly RoleName[], house: House) {
  const { config, log, metrics, health } = house;
  const isGateway = names.includes('gateway');
  const rateLimits = rateLimitsOf(house);
  const admission = { identity: house.identity, rateLimits, addressOf: createAddressOf(config.TRUSTED_PROXIES) };
  const queries = new QueryTurns(runningCostOf(config.DATABASE_POOL_SIZE));
  const reading = { ...admission, queries };
  const graphql = isGateway ? await graphqlDoor(names, house, reading) : undefined;
  const live = graphql?.live;
  const rest = isGateway ? restDoor(house, reading) : undefined;
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
    upgrades: live && { '/graphql': live.upgrade },
    log,
    metrics,
    closeLimitMs: config.DRAIN_SECONDS * 1000,
    times: timesOf(config),
  });
  const grpc = isGateway ? await orCloses(grpcDoor(house, admission), http) : undefined;
  if (isGateway) rateLimits.start();
  const close = async () => {
    await Promise.all([http.close(), live?.close(), grpc?.close()]);
    await Promise.all([graphql?.stop(), rateLimits.stop()]);
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

function timesOf(config: Config) {
  return {
    answerMs: config.REQUEST_TIMEOUT_SECONDS * 1000,
    headersMs: config.HEADERS_TIMEOUT_SECONDS * 1000,
    receiveMs: config.RECEIVE_TIMEOUT_SECONDS * 1000,
    keepAliveMs: config.KEEP_ALIVE_SECONDS * 1000,
  };
}

/** Of GraphQL, whichever way it comes. */
function documentLimitsOf(config: Config) {
  const { GRAPHQL_COST_MAX: costMax, GRAPHQL_DEPTH_MAX: depthMax } = config;
  const { GRAPHQL_ALIASES_MAX: aliasesMax, GRAPHQL_REPEATS_MAX: repeatsMax } = config;
  return { documentTokensMax: config.GRAPHQL_TOKENS_MAX, operationLimits: { costMax, depthMax, aliasesMax, repeatsMax } };
}

/** Alone, there is nobody to share counts with. */
function rateLimitsOf({ config, database, embedded, log }: House): RateLimits {
  const { RATE_CUSTOMER_PER_MINUTE: customerPerMinute, RATE_ADDRESS_PER_MINUTE: addressPerMinute } = config;
  return new RateLimits({ customerPerMinute, addressPerMinute, database: embedded ? undefined : database, log });
}

function grpcDoor({ orders, inventory, config, health, log }: House, admission: Admission): Promise<GrpcServer> {
  return startGrpcServer({
    methods: [...orderMethods(orders), ...productMethods(inventory)],
    tls: serverCertificates(config),
    ...{ port: config.GRPC_PORT, host: config.HOST, messageLimitBytes: config.BODY_LIMIT_KIB * 1024 },
    ...{ ...admission, health, log, closeLimitMs: config.DRAIN_SECONDS * 1000 },
    receiveLimitMs: config.RECEIVE_TIMEOUT_SECONDS * 1000,
    answerLimitMs: config.REQUEST_TIMEOUT_SECONDS * 1000,
    // As much as it can follow by subscriptions.
    streamsPerCustomerMax: config.LIVE_CONNECTIONS_PER_CUSTOMER_MAX * config.LIVE_SUBSCRIPTIONS_MAX,
  });
}

/** Who is let in, and when what is only read is carried out. */
type ReadingAdmission = Admission & { queries: QueryTurns };

async function graphqlDoor(names: readonly RoleName[], house: House, { queries, ...admission }: ReadingAdmission) {
  const { orders, inventory, accounts, operations, notifications, config, log, metrics } = house;
  const { playgroundLogin: login } = house;
  const production = config.NODE_ENV === 'production';
  const schema = await buildGraphqlSchema(
    new OrderResolver(orders),
    new ProductResolver(names.includes('inventory') ? inventory : inventoryElsewhere(house)),
    new AccountResolver(accounts),
    new DeadLetterResolver(operations),
    new NotificationResolver(notifications),
    new EventResolver({ steps: orders.followSteps, movements: inventory.followMovements }),
  );
  const bodyLimitBytes = config.BODY_LIMIT_KIB * 1024;
  const limits = { ...documentLimitsOf(config), turns: new ReadingTurns() };
  const { handle, stop } = await createGraphql({
    schema,
    contextFor: (facts) => facts,
    ...admission,
    log,
    metrics,
    production,
    bodyLimitBytes,
    queries,
    answeredElsewhere: new Set(names.includes('inventory') ? [] : ['stockAvailability']),
    ...limits,
  });
  const live = createLiveDoor({
    ...{ schema, ...admission, log, metrics, production, messageLimitBytes: bodyLimitBytes, ...limits },
    connectionsMax: config.LIVE_CONNECTIONS_MAX,
    connectionsPerCustomerMax: config.LIVE_CONNECTIONS_PER_CUSTOMER_MAX,
    subscriptionsMax: config.LIVE_SUBSCRIPTIONS_MAX,
    initTimeoutMs: config.LIVE_INIT_TIMEOUT_SECONDS * 1000,
    keepAliveMs: config.LIVE_KEEPALIVE_SECONDS * 1000,
  });
  return { routes: production ? { '/graphql': handle } : playgroundRoutes({ graphql: handle, login }), live, stop };
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

function restDoor({ orders, inventory, config, log }: House, admission: ReadingAdmission) {
  const sample = async () => {
    const [product] = await inventory.products({ active: true }, 1);
    return product && { customerId: 'CUST-SAMPLE', items: [{ productId: product.id, quantity: 1 }] };
  };
  const endpoints = [
    ...orderEndpoints(orders, config.NODE_ENV === 'production' ? undefined : sample),
    ...productEndpoints(inventory),
  ];
  return restRoutes({ endpoints, version, bodyLimitBytes: config.BODY_LIMIT_KIB * 1024, ...admission, log });
}

/** The schema of all contexts, with the rules of who may use what in front; zod checks the inputs, so type-graphql does not. */
export async function buildGraphqlSchema(
  ...resolvers: [OrderResolver, ProductResolver, AccountResolver, DeadLetterResolver, NotificationResolver, EventResolver]
) {
  const instances = new Map<unknown, object>(resolvers.map((resolver) => [resolver.constructor, resolver]));
  const schema = await buildSchema({
    resolvers: [OrderResolver, ProductResolver, AccountResolver, DeadLetterResolver, NotificationResolver, EventResolver],
    container: { get: (resolver: ClassType) => instances.get(resolver) },
    validate: false,
    pubSub: noPubSub,
  });
  return guardSchema(withResolvers(schema, instances));
}
