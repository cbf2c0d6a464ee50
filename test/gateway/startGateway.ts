import { buildSchema, GraphQLError, type GraphQLObjectType } from 'graphql';
import { createGraphql, type GraphqlOptions } from '../../src/gateway/graphql';
import { type HttpServerOptions, type Routes, startHttpServer } from '../../src/gateway/httpServer';
import { probeRoutes } from '../../src/gateway/probes';
import { createHealth } from '../../src/observability/health';
import { createLogger } from '../../src/observability/logger';
import { createMetrics } from '../../src/observability/metrics';
import { type RequestContext } from '../../src/observability/requestContext';
import { Unavailable } from '../../src/observability/unavailable';

/** A gateway over a small schema of its own, on a free port, with its log in an array. */
export async function startGateway(
  options: Partial<GraphqlOptions<RequestContext>> &
    Partial<HttpServerOptions> & { moreRoutes?: (graphql: Routes) => Routes } = {},
) {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({
    level: 'debug',
    name: 'test',
    destination: { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  const metrics = createMetrics();
  const health = createHealth({ reuseMs: 0 });
  const held = holdOpen();
  const graphql = await createGraphql({
    schema: stubSchema(held.wait),
    contextFor: (facts) => facts,
    log,
    metrics,
    production: false,
    ...options,
  });
  const routes = { ...probeRoutes({ health, metrics }), '/graphql': graphql.handle };
  const server = await startHttpServer({
    port: 0,
    host: '127.0.0.1',
    log,
    metrics,
    ...options,
    routes: { ...routes, ...options.moreRoutes?.(routes) },
  });
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const stop = async () => {
    held.release();
    await server.close();
    await graphql.stop();
  };
  return { ...server, post, lines, metrics, health, held, stop };
}

/** The first error of an answer. */
export async function errorOf(answer: Response): Promise<{ message: string; extensions: Record<string, unknown> }> {
  const { errors } = (await answer.json()) as { errors: { message: string; extensions: Record<string, unknown> }[] };
  if (errors[0] === undefined) throw new Error('The answer has no error.');
  return errors[0];
}

/** A resolver that answers when told to. */
function holdOpen() {
  let release = () => {};
  let entered = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const underWay = new Promise<void>((resolve) => (entered = resolve));
  const wait = async () => {
    entered();
    await released;
    return 'finished';
  };
  return { wait, underWay, release: () => release() };
}

function stubSchema(held: () => Promise<string>) {
  const schema = buildSchema(`
    type Item { productId: Int!, quantity: Int! }
    type Order { id: ID!, status: String!, items: [Item!]! }
    type Refusal implements ErrorResult { code: String!, message: String! }
    interface ErrorResult { code: String!, message: String! }
    union CreateOrderResult = Order | Refusal
    input ItemInput { productId: Int, sku: String, quantity: Int! }
    input CreateOrderInput { customerId: String!, items: [ItemInput!]!, idempotencyKey: String }
    type Facts { requestId: String!, correlationId: String!, idempotencyKey: String }
    type Orders { nodes: [Order!]! }
    type Query { orders(first: Int): Orders!, facts: Facts!, fault: String, down: String, conflict: String, held: String, self: Query! }
    type Mutation { createOrder(input: CreateOrderInput!): CreateOrderResult! }
  `);
  resolve(schema.getQueryType(), {
    orders: () => ({ nodes: [] }),
    facts: (context) => {
      context.log.info('resolving');
      return context;
    },
    fault: () => Promise.reject(new Error('relation "secret_table" does not exist')),
    down: () => Promise.reject(new Unavailable('Orders cannot be taken right now.', { retryAfterSeconds: 3 })),
    conflict: () => Promise.reject(new GraphQLError('Other payload.', { extensions: { code: 'IDEMPOTENCY_CONFLICT' } })),
    held,
    self: () => ({}),
  });
  const order = { __typename: 'Order', id: 'ORD-1', status: 'PENDING', items: [{ productId: 1, quantity: 2 }] };
  resolve(schema.getMutationType(), { createOrder: () => order });
  return schema;
}

function resolve(type: GraphQLObjectType | null | undefined, resolvers: Record<string, (context: RequestContext) => unknown>) {
  for (const [name, resolver] of Object.entries(resolvers)) {
    const field = type?.getFields()[name];
    if (field) field.resolve = (_source, _inputs, context: RequestContext) => resolver(context);
  }
}
