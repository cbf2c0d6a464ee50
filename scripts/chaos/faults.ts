import { randomUUID } from 'node:crypto';
import { setTimeout as startTimer } from 'node:timers';
import { setTimeout } from 'node:timers/promises';

import { exchanges, queues, routes } from '../../src/contracts';
import { below, pick, type Random } from '../random';
import { type FleetMember } from './fleet';
import { type Tap } from './tap';
import { type World } from './world';

/** Something that goes wrong: done to the world, and over (healed) when its promise resolves. */
interface Fault {
  weight: number;
  /** What it disturbs: two faults on the same server, or on the same process of a role, never overlap. */
  what: 'role' | 'broker' | 'postgres' | 'messages';
  /** `member` is whom a fault on a role meets. */
  strike: (scene: Scene, random: Random, member: FleetMember) => Promise<string>;
}

export interface Scene {
  world: World;
  tap: Tap;
  /** The ids of the poison that was sent; each must be one dead letter at the end. */
  poison: string[];
  /** Waits, and no longer when the run is interrupted: what is under way then heals at once. */
  pause: (seconds: number) => Promise<unknown>;
}

/** Everything the harness can do to Holdfast. Names are those of the report. */
export const faults = {
  'kill -9 a role': { weight: 12, what: 'role', strike: killRole },
  'freeze a role': { weight: 4, what: 'role', strike: freezeRole },
  'restart a role with a wrong clock': { weight: 4, what: 'role', strike: wrongClock },
  'cut a wire': { weight: 6, what: 'role', strike: cutWire },
  'black-hole a wire': { weight: 3, what: 'role', strike: blackHole },
  'restart RabbitMQ': { weight: 1, what: 'broker', strike: (scene) => bounceBroker(scene, 'stop', 0) },
  'kill -9 RabbitMQ': { weight: 1, what: 'broker', strike: (scene) => bounceBroker(scene, 'kill9', 0) },
  'RabbitMQ away for 30 s': { weight: 0.4, what: 'broker', strike: (scene) => bounceBroker(scene, 'kill9', 30) },
  'memory alarm': { weight: 2, what: 'broker', strike: memoryAlarm },
  'unbind a queue': { weight: 2, what: 'broker', strike: unbind },
  'restart Postgres, fast': { weight: 1, what: 'postgres', strike: (scene) => bouncePostgres(scene, 'SIGINT') },
  'restart Postgres, immediate': { weight: 1, what: 'postgres', strike: (scene) => bouncePostgres(scene, 'SIGQUIT') },
  'kill -9 Postgres': { weight: 1, what: 'postgres', strike: (scene) => bouncePostgres(scene, 'SIGKILL') },
  'terminate backends': { weight: 6, what: 'postgres', strike: terminateBackends },
  'deliver again': { weight: 6, what: 'messages', strike: deliverAgain },
  poison: { weight: 6, what: 'messages', strike: sendPoison },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

const faultNames = Object.keys(faults) as FaultName[];

export interface Struck {
  name: FaultName;
  /** Seconds since the first fault could strike. */
  at: number;
  /** Whom it met and for how long. */
  detail: string;
}

export interface FaultStorm {
  /** Everything that struck, in order. */
  readonly log: Struck[];
  /** Lets what is under way heal, and strikes no more. */
  heal(): Promise<void>;
}

export interface StormOptions {
  /** Mean seconds between two faults. */
  everySeconds: number;
  /** No more than so many. */
  limit: number;
  /** Only these, unless all. */
  only?: readonly FaultName[];
  /** How much of the orders is placed, 0 to 1: the faults are spread over all of them, however slow the machine. */
  progress: () => number;
}

/** Strikes until told to heal. The seed draws which fault, whom and when; what the processes do meanwhile stays their own. */
export function startStorm(scene: Scene, random: Random, options: StormOptions): FaultStorm {
  const log: Struck[] = [];
  const underWay = new Map<string, Promise<void>>();
  const startedAt = performance.now();
  let isOver = false;
  let wake = () => {};

  async function strike(name: FaultName, member: FleetMember) {
    const fault: Fault = faults[name];
    const struck: Struck = { name, at: Math.round((performance.now() - startedAt) / 100) / 10, detail: 'under way' };
    log.push(struck);
    struck.detail = await fault.strike(scene, random, member).catch((error: unknown) => `failed: ${(error as Error).message}`);
  }

  /** Something that is at peace; undefined when there is nothing left to disturb. */
  function drawTarget(): { name: FaultName; target: string; member: FleetMember } | undefined {
    const member = pick(scene.world.fleet.members, random);
    const targetOf = (name: FaultName) => (faults[name].what === 'role' ? member.name : faults[name].what);
    const free = (options.only ?? faultNames).filter((name) => !underWay.has(targetOf(name)));
    if (free.length === 0) return undefined;
    const name = draw(random, free);
    return { name, target: targetOf(name), member };
  }

  const storm = (async () => {
    while (!isOver && log.length < options.limit) {
      // From half the mean to one and a half of it.
      const gapMs = options.everySeconds * 1_000 * (0.5 + random());
      await new Promise<void>((resolve) => {
        const timer = startTimer(resolve, gapMs);
        wake = () => (clearTimeout(timer), resolve());
      });
      const isEarly = log.length / options.limit > options.progress();
      const drawn = isOver || isEarly ? undefined : drawTarget();
      if (!drawn) continue;
      const { name, target, member } = drawn;
      underWay.set(
        target,
        strike(name, member).finally(() => underWay.delete(target)),
      );
    }
  })();

  return {
    log,
    async heal() {
      isOver = true;
      wake();
      await storm;
      await Promise.all(underWay.values());
      for (const member of scene.world.fleet.members) {
        member.signal('SIGCONT');
        Object.values(member.wires).forEach((wire) => wire.heal());
      }
    },
  };
}

function draw(random: Random, names: readonly FaultName[]): FaultName {
  const total = names.reduce((sum, name) => sum + faults[name].weight, 0);
  let left = random() * total;
  return names.find((name) => (left -= faults[name].weight) < 0) ?? names[0]!;
}

async function killRole(_scene: Scene, _random: Random, member: FleetMember) {
  await member.kill9();
  await member.ready();
  return member.name;
}

/** Longer than a lease at times: then another has taken over what the frozen one believes to be its own. */
async function freezeRole({ pause }: Scene, random: Random, member: FleetMember) {
  const seconds = 2 + below(13, random);
  member.signal('SIGSTOP');
  await pause(seconds);
  member.signal('SIGCONT');
  return `${member.name} for ${seconds} s`;
}

/** For one life the process believes that it is an hour earlier or later; only the database's clock may decide. */
async function wrongClock(_scene: Scene, random: Random, member: FleetMember) {
  const hours = random() < 0.5 ? -1 : 1;
  await member.kill9({
    preload: [require.resolve('./wrongClock')],
    settings: { CHAOS_CLOCK_OFFSET_MS: String(hours * 3_600_000) },
  });
  await member.ready();
  return `${member.name} by ${hours} h`;
}

async function cutWire({ pause }: Scene, random: Random, member: FleetMember) {
  const to = pick(['postgres', 'rabbitmq'] as const, random);
  const seconds = below(4, random);
  member.wires[to].cut();
  await pause(seconds);
  member.wires[to].heal();
  return `${member.name} to ${to} for ${seconds} s`;
}

async function blackHole({ pause }: Scene, random: Random, member: FleetMember) {
  const to = pick(['postgres', 'rabbitmq'] as const, random);
  const seconds = 3 + below(12, random);
  member.wires[to].blackHole();
  await pause(seconds);
  member.wires[to].heal();
  return `${member.name} to ${to} for ${seconds} s`;
}

async function bounceBroker({ world: { broker }, pause }: Scene, how: 'stop' | 'kill9', awaySeconds: number) {
  await broker.end(how);
  await pause(awaySeconds);
  await broker.start();
  return `away for ${awaySeconds} s and its start`;
}

/** Publishers are blocked, consumers are not. */
async function memoryAlarm({ world: { broker }, pause }: Scene, random: Random) {
  const seconds = 3 + below(6, random);
  await broker.control('set_vm_memory_high_watermark', '0.0001');
  await pause(seconds);
  await broker.control('set_vm_memory_high_watermark', '0.4');
  return `${seconds} s`;
}

/**
 * A queue loses its binding, on a broker without the policy that catches what is unrouted: what is published for it then must
 * come back to its publisher and be published again.
 */
async function unbind({ world: { broker }, pause }: Scene, random: Random) {
  const [type, queue] = pick(boundQueues, random);
  const { exchange, key } = routes[type];
  const evaluate = (expression: string) => broker.control('eval', expression);
  const binding = `{binding, rabbit_misc:r(<<"/">>, exchange, <<"${exchange}">>), <<"${key}">>, rabbit_misc:r(<<"/">>, queue, <<"${queue}">>), []}`;
  const policy = JSON.stringify({ 'alternate-exchange': exchanges.unrouted });
  await broker.control('clear_policy', 'unrouted');
  await evaluate(`rabbit_binding:remove(${binding}, <<"chaos">>).`);
  const seconds = 1 + below(5, random);
  await pause(seconds);
  await evaluate(`rabbit_binding:add(${binding}, <<"chaos">>).`);
  await broker.control(
    'set_policy',
    'unrouted',
    '^(orders|inventory|accounts|new_orders_exchange)$',
    policy,
    '--apply-to',
    'exchanges',
  );
  return `${queue} from ${exchange} / ${key} for ${seconds} s`;
}

const boundQueues = [
  ['OrderCreated', queues.orderCreated],
  ['OrderCancelled', queues.orderCancelled],
  ['OrderFulfilled', queues.orderFulfilled],
  ['StockReserved', queues.stockReplies],
] as const;

async function bouncePostgres({ world: { postgres, database }, pause }: Scene, signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL') {
  postgres.end(signal);
  const startedAt = performance.now();
  await pause(0.5);
  while (!(await answers(database))) await pause(0.2);
  return `away for ${Math.round((performance.now() - startedAt) / 100) / 10} s`;
}

function answers(database: World['database']): Promise<boolean> {
  return database.$queryRaw`SELECT 1`.then(
    () => true,
    () => false,
  );
}

/** Every second session of the roles, whatever it is at: some die exactly at their COMMIT. */
async function terminateBackends({ world: { database } }: Scene) {
  const ended = await database.$queryRaw<unknown[]>`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name LIKE 'holdfast %' AND application_name <> 'holdfast chaos' AND pid % 2 = (random() < 0.5)::int`;
  return `${ended.length} sessions`;
}

/** Word for word what went by before: an old event, or one that is at work this moment. */
async function deliverAgain({ tap }: Scene, random: Random) {
  const copies = Array.from({ length: 20 }, () => tap.sample(below(1_000, random))).filter((copy) => copy !== undefined);
  await withinSeconds(15, Promise.allSettled(copies.map(({ publication }) => tap.publish(publication))));
  return `${copies.length} messages`;
}

async function sendPoison({ tap, poison, pause }: Scene, random: Random) {
  const messages = Array.from({ length: 6 }, () => poisonFor(pick(workQueues, random), random));
  const outcomes = messages.map(async (publication) => {
    poison.push(publication.properties.messageId);
    // Lost sight of means that it may be there or not: said again, under its id, until the broker has it.
    for (let attempt = 1; attempt <= 60; attempt++) {
      if (
        await tap.publish(publication).then(
          () => true,
          () => false,
        )
      )
        return;
      await pause(0.5);
    }
  });
  await Promise.all(outcomes);
  return `${messages.length} messages`;
}

const workQueues = [
  ...[queues.orderCreated, queues.orderCancelled, queues.orderFulfilled],
  ...[queues.amendReservation, queues.stockReplies],
];

function poisonFor(queue: string, random: Random) {
  const body = Buffer.from(pick(poisons, random));
  return {
    exchange: '',
    routingKey: queue,
    body,
    mandatory: true,
    properties: { messageId: `poison-${randomUUID()}`, headers: {} },
  };
}

const poisons = [
  '',
  'not JSON',
  '{"event":',
  '{}',
  '[]',
  'null',
  '{"event":"NoSuchEvent","order_id":"ORD-1"}',
  '{"event":"OrderCreated","order_id":"ORD-1","items":[]}',
  '{"event":"OrderCreated","order_id":"ORD-1","items":[{"product_id":1,"quantity":-1}]}',
  '{"event":"StockReserved","order_id":"ORD-1","items":[{"product_id":1,"quantity":1,"unit_price":0.5}]}',
  '{"event":"OrderCancelled","order_id":""}',
  '{"event":"OrderFulfilled","order_id":"an order that nobody knows"}',
];

async function withinSeconds(seconds: number, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, setTimeout(seconds * 1_000)]);
}
