import { parseArgs } from 'node:util';

import { usageFault } from '../exit';
import { count } from '../simulate/options';

export interface FuzzOptions {
  graphql: number;
  hostile: number;
  doors: number;
  amqp: number;
  poison: number;
  /** Who sends requests. */
  as: 'operator' | 'customer';
  seed: number;
  concurrency: number;
  timeoutMs: number;
  json: boolean;
}

export const usage = `Usage: npm run fuzz [-- options]

Starts Holdfast as processes of their own with a private Postgres and RabbitMQ, sends it what no good client would send, and
gives a verdict: every request and call was answered as it must be, every message was processed or became a dead letter once, and the
database keeps its promises. While requests come in, a customer of another login orders ten times a second, and must be told an
order each time; the report says how long it waited alone, beside requests that mean no harm, and beside the attack. It needs
rabbitmq-server on the machine, and leaves nothing behind. When one of the five doses is given, the others are 0.

  --graphql N         requests: valid at random, mutated, hostile (50000)
  --hostile N         requests again, all of them hostile (10000)
  --doors N           calls of gRPC, and as many of REST (20000)
  --amqp N            payloads for each work queue, and for each queue of questions (20000)
  --poison N          messages for each work queue of which one in fifty is bad (0)
  --as WHO            who sends requests: operator, whom no rate limit holds back, or customer (operator)
  --seed N            the same seed gives the same requests and payloads (1)
  --concurrency N     requests under way at a time (8)
  --timeout SECONDS   the end of it all, whatever is left to do (7200)
  --json              one object on stdout instead of the report
  --help              this

Exit codes: 0 PASS · 1 failed · 2 FAIL, a promise was broken · 64 wrong options · 130 interrupted
`;

/** Reads the command line; undefined when only the usage is wanted. */
export function readOptions(args: string[]): FuzzOptions | undefined {
  const { values } = parseArgs({ args, options: declared });
  if (values.help) return undefined;
  const isWhole = doses.every((name) => values[name] === undefined);
  const dose = (name: (typeof doses)[number], whole: string, max: number) =>
    count(name, values[name] ?? (isWhole ? whole : '0'), 0, max);
  return {
    graphql: dose('graphql', '50000', 10_000_000),
    hostile: dose('hostile', '10000', 10_000_000),
    doors: dose('doors', '20000', 1_000_000),
    amqp: dose('amqp', '20000', 1_000_000),
    poison: dose('poison', '0', 1_000_000),
    as: attackerOf(values.as ?? 'operator'),
    seed: count('seed', values.seed ?? '1', 0, 2 ** 32 - 1),
    concurrency: count('concurrency', values.concurrency ?? '8', 1, 200),
    timeoutMs: count('timeout', values.timeout ?? '7200', 1, 604_800) * 1_000,
    json: values.json ?? false,
  };
}

function attackerOf(who: string): FuzzOptions['as'] {
  if (who === 'operator' || who === 'customer') return who;
  throw usageFault(`--as ${who}: must be operator or customer.`);
}

const doses = ['graphql', 'hostile', 'doors', 'amqp', 'poison'] as const;

const declared = {
  graphql: { type: 'string' },
  hostile: { type: 'string' },
  doors: { type: 'string' },
  amqp: { type: 'string' },
  poison: { type: 'string' },
  as: { type: 'string' },
  seed: { type: 'string' },
  concurrency: { type: 'string' },
  timeout: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;
