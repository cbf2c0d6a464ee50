import { type Broker, type Publication } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { topology } from '../../src/messaging/topology';
import { type Logger, type Metrics } from '../../src/observability';
import { below, pick, seededRandom } from '../random';
import { SimulatedBroker } from './broker';
import { count, noCoverage, type Coverage } from './coverage';
import { SimulatedDatabase } from './database';
import { startHouse, type House } from './house';
import { type Listener } from './listener';
import { type Plan, type Role } from './plan';
import { aProcess, Scheduler, type SimulatedProcess } from './scheduler';

/** One process of Holdfast in its present life. */
export interface Running {
  spec: Plan['processes'][number];
  process: SimulatedProcess;
  broker: Broker;
  /** Undefined while it starts. */
  house?: House;
}

/** Everything there is in one simulation: the servers, the processes of Holdfast, and what was heard of them. */
export class World implements Listener {
  readonly scheduler: Scheduler;
  readonly database: SimulatedDatabase;
  readonly broker: SimulatedBroker;
  readonly running = new Map<string, Running>();
  readonly coverage: Coverage = noCoverage();
  /** Every publication that a broker took, in order. */
  readonly published: Publication[] = [];
  /** What must never happen and was seen to, in words. */
  readonly surprises: string[] = [];
  /** How many failpoints are passed until one kills its process; 0 for none. */
  passagesLeft = 0;
  private readonly nature: SimulatedProcess = aProcess('nature');
  private ids = 0;

  constructor(
    readonly plan: Plan,
    seed: number,
  ) {
    this.scheduler = new Scheduler(seededRandom(seed * 2));
    const counted = (fault: string) => count(this.coverage.faults, fault);
    this.database = new SimulatedDatabase(this.scheduler, counted);
    this.broker = new SimulatedBroker(this.scheduler, { count: counted, onAccepted: (one) => void this.published.push(one) });
  }

  /** Has something done by nobody in particular. */
  later(delayMs: number, label: string, work: () => void): void {
    this.scheduler.at(delayMs, this.nature, label, work);
  }

  newId = (): string => `00000000-0000-7000-8000-${String(++this.ids).padStart(12, '0')}`;

  start(spec: Running['spec']): void {
    const process = aProcess(spec.name);
    const embedded = this.plan.shape === 'embedded';
    this.scheduler.at(0, process, 'starts', () => {
      const broker = embedded ? this.brokerInside(process) : this.broker.connect(process);
      const running: Running = { spec, process, broker };
      this.running.set(spec.name, running);
      const ground = { ...this.ground(process), broker, embedded };
      broker
        .declare(topology)
        .then(() => startHouse(spec.roles, ground))
        .then((house) => (running.house = house))
        .catch((error: Error) => this.surprises.push(`${spec.name} did not start: ${error.message}`));
    });
  }

  /** A process that can be struck or asked; undefined when there is none with this role. */
  pickUp(role?: Role): (Running & { house: House }) | undefined {
    const up = [...this.running.values()].filter(
      (one) => one.process.isAlive && one.house && (!role || one.spec.roles.includes(role)),
    );
    return up.length === 0 ? undefined : (pick(up, this.scheduler.random) as Running & { house: House });
  }

  isEverybodyUp(): boolean {
    const up = [...this.running.values()].filter((one) => one.process.isAlive && one.house);
    return up.length === this.plan.processes.length;
  }

  /** As kill -9: it does nothing more from now on; the servers notice a little later, and somebody starts it again. */
  crash({ spec, process }: Running): void {
    if (!process.isAlive) return;
    process.isAlive = false;
    this.scheduler.note(`${spec.name} crashes`);
    this.later(this.scheduler.between(0, 1_000), `${spec.name} is missed`, () => {
      this.database.endSessionsOf(process);
      this.broker.forget(process);
    });
    this.later(this.scheduler.between(100, 8_000), `${spec.name} is started again`, () => this.start(spec));
  }

  /** Whatever is sent to the broker past Holdfast, or once more. */
  send(publication: Publication): void {
    const { broker, scheduler } = this;
    const isDistributed = this.plan.shape === 'distributed';
    if (isDistributed) return void scheduler.at(0, broker.server, 'takes a message', () => broker.accept(publication));
    const all = this.pickUp();
    if (all) scheduler.at(0, all.process, 'takes a message', () => void all.broker.publish(publication).catch(() => undefined));
  }

  decides: Listener['decides'] = (status, trigger) => count(this.coverage.cells, `${status} × ${trigger}`);

  passes: Listener['passes'] = (failpoint) => {
    count(this.coverage.failpoints, failpoint);
    if (this.passagesLeft === 0 || --this.passagesLeft > 0) return;
    const here = [...this.running.values()].find((one) => one.process === this.scheduler.current);
    if (!here) return;
    count(this.coverage.faults, 'crash at a failpoint');
    this.scheduler.note(`${here.spec.name} dies at ${failpoint}`);
    this.crash(here);
    throw new Error(`died at ${failpoint}`);
  };

  armFailpoint(): void {
    this.passagesLeft = 1 + below(40, this.scheduler.random);
  }

  private ground(process: SimulatedProcess) {
    const { plan, scheduler, newId } = this;
    const database = this.database.connect(process);
    return { settings: plan.settings, database, random: scheduler.random, newId, log: this.logOf(process), metrics: noMetrics };
  }

  /** The embedded shape has its broker inside, and loses it with the process. */
  private brokerInside(process: SimulatedProcess): Broker {
    const inner = createInProcessBroker({ random: this.scheduler.random });
    const publish = (publication: Publication) => {
      if (process.isAlive) this.published.push(publication);
      return inner.publish(publication);
    };
    return {
      ...{ name: inner.name, publish },
      declare: (topology) => inner.declare(topology),
      consume: (queue, options, onDelivery) => inner.consume(queue, options, onDelivery),
      depth: (queue) => inner.depth(queue),
      unsettled: () => inner.unsettled(),
      status: () => inner.status(),
      close: () => inner.close(),
    };
  }

  /** Holdfast writes an error when it gives a message up. Only poison may come to that. */
  private logOf(process: SimulatedProcess): Logger {
    const write = (level: string) => (details: LogDetails, text: string) => {
      if (!process.isAlive) return;
      this.scheduler.note(`${process.name} ${level}: ${text}${details.err ? ` (${details.err.message})` : ''}`);
      if (level === 'error' && !details.messageId?.startsWith('poison')) this.surprises.push(`${text}: ${details.err?.message}`);
    };
    return { info: write('says'), warn: write('warns'), error: write('error') } as unknown as Logger;
  }
}

interface LogDetails {
  err?: Error;
  messageId?: string;
}

const meter = { inc: () => undefined, set: () => undefined, observe: () => undefined };
const noMetrics = new Proxy({}, { get: () => meter }) as Metrics;
