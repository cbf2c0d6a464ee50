import { parseArgs } from 'node:util';

import { readConfig } from '../src/config';
import { readRuntime } from '../src/database';
import { exitCodes, Ending, outOfReach, runScript, usageFault } from './exit';
import { tokenFor } from './login';
import { openDoor, type Door, type GrpcOrder, type GrpcFailure } from './grpc/door';

const usage = `Usage: holdfast grpc [options]     (npm run grpc -- [options])

Drives the gRPC door: places an order, watches it until it is decided, changes its quantity, and shows each step.

  --target H:P        where gRPC is served (the Holdfast that runs on the data folder, else 127.0.0.1 and GRPC_PORT)
  --customer C        whose order (CUST-grpc)
  --sku S             which product (the first that is for sale)
  --quantity N        how many (1)
  --to N              the quantity it is changed to (one more)
  --cancel            cancel the order at last
  --json              one object a line
  --help              this

Exit codes: 0 all steps were done · 1 a step was refused, or failed · 64 wrong options · 69 Holdfast out of reach
`;

/** `holdfast grpc` (S0.5). */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: declared });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const quantity = wholeNumber('quantity', values.quantity ?? '1', 1);
  const wanted = { customerId: values.customer, quantity, to: wholeNumber('to', values.to ?? String(quantity + 1), 0) };
  const target = values.target ?? (await findTarget());
  const door = openDoor(target, () => tokenFor([target]));
  const show = values.json ? showJson : createTable();
  try {
    for await (const step of drive(door, { ...wanted, sku: values.sku, cancel: values.cancel })) {
      show(step);
      if (step.outcome !== 'OK') return step.outcome === 'UNAVAILABLE' ? exitCodes.outOfReach : exitCodes.failed;
    }
    return exitCodes.passed;
  } finally {
    door.close();
  }
}

const declared = {
  target: { type: 'string' },
  customer: { type: 'string', default: 'CUST-grpc' },
  sku: { type: 'string' },
  quantity: { type: 'string' },
  to: { type: 'string' },
  cancel: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

interface Wanted {
  customerId: string;
  sku?: string;
  quantity: number;
  to: number;
  cancel: boolean;
}

/** One call, and how it went. */
interface Step {
  call: string;
  /** `OK`, or the status of gRPC. */
  outcome: string;
  ms: number;
  orderId?: string;
  status?: string;
  quantity?: number;
  total?: string;
  /** What is said to people. */
  message: string;
}

async function* drive(door: Door, { customerId, sku, quantity, to, cancel }: Wanted): AsyncGenerator<Step> {
  const product = sku ?? (await door.firstSku().catch(unreachable));
  if (product === undefined) throw new Ending(exitCodes.failed, 'There is no product for sale: npm run seed adds some.');
  const line = (units: number) => [{ sku: product, quantity: units }];
  const placed = await stepOf('PlaceOrder', () => door.place({ customerId, items: line(quantity) }));
  yield placed;
  const orderId = placed.orderId!;
  yield await stepOf('WatchOrder', () => door.untilDecided(orderId));
  yield await stepOf('UpdateOrder', () => door.update({ orderId, items: line(to) }));
  yield await stepOf('GetOrder', () => door.find(orderId));
  if (cancel) yield await stepOf('CancelOrder', () => door.cancel(orderId));
}

async function stepOf(call: string, work: () => Promise<GrpcOrder>): Promise<Step> {
  const startedAt = performance.now();
  const took = () => Math.round(performance.now() - startedAt);
  try {
    const { id: orderId, status, message, items, total } = await work();
    const quantity = items.reduce((sum, item) => sum + item.quantity, 0);
    const done = { call, outcome: 'OK', ms: took(), orderId, status: status.replace('ORDER_STATUS_', ''), quantity, message };
    return total ? { ...done, total: `${total.minorUnits} ${total.currency}` } : done;
  } catch (error) {
    const { status, message } = error as GrpcFailure;
    if (status === undefined) throw error;
    return { call, outcome: status, ms: took(), message };
  }
}

function unreachable(error: GrpcFailure): never {
  throw error.status === 'UNAVAILABLE' ? outOfReach(`Nothing answers gRPC there: ${error.message}`) : error;
}

function showJson(step: Step) {
  process.stdout.write(`${JSON.stringify(step)}\n`);
}

/** Columns as wide as what stands in them; the order stands above. */
function createTable() {
  let order: string | undefined;
  return ({ call, outcome, ms, orderId, status = '', quantity, total = '', message }: Step) => {
    if (order === undefined && orderId !== undefined) process.stdout.write(`order ${(order = orderId)}\n\n`);
    const units = quantity === undefined ? '' : String(quantity);
    const cells = [call.padEnd(11), outcome.padEnd(19), `${ms} ms`.padStart(8), status.padEnd(9), units.padStart(6)];
    process.stdout.write(`${cells.join('  ')}  ${total.padStart(12)}  ${message}\n`);
  };
}

async function findTarget(): Promise<string> {
  const { HOLDFAST_DATA, GRPC_PORT } = readConfig(process.env);
  return (await readRuntime(HOLDFAST_DATA))?.grpcTarget ?? `127.0.0.1:${GRPC_PORT}`;
}

function wholeNumber(option: string, text: string, min: number): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= min) return Number(text);
  throw usageFault(`--${option} ${text}: a whole number from ${min} on is wanted.`);
}

runScript('grpc', main);
