/**
 * Follows orders: each change once and in its order, across lost connections, gateways that stop and tokens that end.
 * GRAPHQL_URL is the gateway, TOKEN who asks, AFTER the cursor that was had last, if there is one.
 */
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

/** Your work. Keep the cursor with what you do, and you can go on from there after a restart. */
function handle({ cursor, step, order }: OrderChange): void {
  process.stdout.write(`${JSON.stringify({ cursor, event: step.event, orderId: order.id, status: order.status })}\n`);
}

interface OrderChange {
  cursor: string;
  step: { event: string };
  order: { id: string; status: string };
}

const client = createClient({
  url: process.env.GRAPHQL_URL ?? 'ws://127.0.0.1:4000/graphql',
  // A browser has one of its own.
  webSocketImpl: WebSocket,
  // Asked at every connection: give a new token when the one before has ended.
  connectionParams: () => ({ authorization: `Bearer ${process.env.TOKEN}` }),
  retryAttempts: Infinity,
});

const query = `subscription ($after: String) {
  orderChanged(after: $after) { cursor step { event } order { id status } }
}`;
/** Sent anew at every connection, hence always as it is by then. */
const variables = { after: process.env.AFTER };

client.subscribe<{ orderChanged: OrderChange }>(
  { query, variables },
  {
    next({ data, errors }) {
      if (errors) throw new Error(JSON.stringify(errors));
      handle(data!.orderChanged);
      variables.after = data!.orderChanged.cursor;
    },
    error(error) {
      process.stderr.write(`refused: ${JSON.stringify(error)}\n`);
      process.exitCode = 1;
    },
    complete: () => undefined,
  },
);
