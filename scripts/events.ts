import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { readConfig } from '../src/config';
import { type Broker, type BrokerStatus } from '../src/messaging';
import { connectRabbitmq } from '../src/messaging/brokers/rabbitmq';
import { isLocal, sampleOf, sampleType } from './events/sample';
import { tail, tailedTypes } from './events/tail';
import { exitCodes, outOfReach, runScript, usageFault } from './exit';
import { brokerAddress, count } from './simulate/options';
import { findSurroundings } from './simulate/surroundings';

const usage = `Usage: holdfast events <command> [options]     (npm run events -- <command> [options])

  tail                     shows events as they go by, a line each, until Ctrl-C; on a queue of its own, which takes nothing from
                           anybody and is gone afterwards
  publish-sample TYPE      publishes one good event of that type, such as OrderCreated, under an order id of its own; Holdfast and
                           whoever else listens treat it like any other. Not in production

tail:
  --type TYPE              only these; repeat it for more
  --order ID               only what is about this order
  --count N                ends after so many

publish-sample:
  --order ID               about this order (SAMPLE- and something new)
  --print                  only shows what would be published
  --remote                 the RabbitMQ is on another machine, and it is meant to go there

Both:
  --rabbitmq URL           the RabbitMQ that Holdfast uses (RABBITMQ_URL, or that of the Holdfast that runs on the data folder)
  --json                   one object a line on stdout
  --help                   this

Exit codes: 0 done, or ended by Ctrl-C · 1 failed, or no queue was bound to take the sample · 64 wrong options, no RabbitMQ known ·
69 RabbitMQ out of reach
`;

/** `holdfast events`. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: declared, allowPositionals: true });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const [command = '', ...named] = positionals;
  if (command === 'tail' && named.length === 0) return runTail(values);
  if (command === 'publish-sample' && named.length === 1) return publishSample(named[0]!, values);
  if (command === 'publish-sample') throw usageFault('publish-sample takes one type of event, such as OrderCreated (--help)');
  throw usageFault(`there is no command ${JSON.stringify([command, ...named].join(' '))}: tail or publish-sample TYPE (--help)`);
}

const declared = {
  type: { type: 'string', multiple: true },
  order: { type: 'string' },
  count: { type: 'string' },
  print: { type: 'boolean' },
  remote: { type: 'boolean' },
  rabbitmq: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof declared }>>['values'];

async function runTail({ type, order, count: most, json = false, rabbitmq }: Values): Promise<number> {
  const types = tailedTypes(type);
  const countMax = most === undefined ? Infinity : count('count', most, 1, 1_000_000_000);
  const broker = await connect(await rabbitmqUrl(rabbitmq), sayWhatIsMissed());
  try {
    const { enough } = await tail({ broker, types, order, countMax, json, out: process.stdout });
    process.stderr.write(`Listening to ${type?.join(', ') ?? 'every event'}${order ? ` about ${order}` : ''}; Ctrl-C ends it.\n`);
    await Promise.race([enough, once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    return exitCodes.passed;
  } finally {
    await broker.close();
  }
}

async function publishSample(name: string, { order, print, remote, json, rabbitmq }: Values): Promise<number> {
  const sample = sampleOf(sampleType(name), { order, now: new Date() });
  const show = () => process.stdout.write(json ? `${JSON.stringify(sample.shown)}\n` : `${sample.line}\n`);
  if (print) {
    show();
    return exitCodes.passed;
  }
  if (readConfig(process.env).NODE_ENV === 'production')
    throw usageFault('a sample is no real event, and is not published in production (NODE_ENV). --print shows it.');
  const url = await rabbitmqUrl(rabbitmq);
  if (!remote && !isLocal(url))
    throw usageFault(
      'the RabbitMQ is on another machine, where it may be in production: say --remote if the sample is to go there.',
    );
  const broker = await connect(url);
  try {
    await sample.publish(broker);
    show();
    return exitCodes.passed;
  } finally {
    await broker.close();
  }
}

async function rabbitmqUrl(given: string | undefined): Promise<string> {
  const found = await findSurroundings({ rabbitmqUrl: brokerAddress('rabbitmq', given) });
  if (found.rabbitmqUrl !== undefined) return found.rabbitmqUrl;
  throw usageFault(
    'no RabbitMQ is known, and the broker in process lets nobody attach. Set RABBITMQ_URL (or --rabbitmq) to the one that Holdfast uses; `npm start -- --broker rabbitmq` starts one. `holdfast watch` shows orders without it.',
  );
}

function connect(url: string, onStatus?: (status: BrokerStatus) => void): Promise<Broker> {
  const random = () => randomInt(2 ** 32) / 2 ** 32;
  return connectRabbitmq({ url, random, connectionName: 'holdfast events', bootTimeoutMs: 5_000, onStatus }).catch(
    (error: Error) => {
      throw outOfReach(error.message);
    },
  );
}

/** The queue ends with its connection: what is published until there is another one is shown to nobody. */
function sayWhatIsMissed(): (status: BrokerStatus) => void {
  let [wasReady, isAway] = [false, false];
  return ({ state, detail }) => {
    if (state === 'connecting' && wasReady && !isAway) {
      isAway = true;
      process.stderr.write(`events: the connection is lost, and events are missed until it is back (${detail}).\n`);
    }
    if (state !== 'ready') return;
    if (isAway) process.stderr.write('events: the connection is back.\n');
    [wasReady, isAway] = [true, false];
  };
}

runScript('events', main, { atOnce: true });
