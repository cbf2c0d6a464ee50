import {
  UnconfirmedError,
  type Broker,
  type BrokerStatus,
  type ConsumeOptions,
  type Delivery,
  type Publication,
  type QueueDepth,
  type Subscription,
} from '../../src/messaging/broker';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { topology } from '../../src/messaging/topology';
import { confirmTimeoutMs } from './network';
import { aProcess, type Scheduler, type SimulatedProcess } from './scheduler';

/** How often, of all publications, the network and the broker fail in which way; and how long a frame is under way. */
export interface BrokerFaults {
  /** It never reaches the broker, and nobody says so. */
  lostPublication: number;
  /** The broker has it, and the word of that is lost. */
  lostConfirm: number;
  /** It is confirmed, and gone all the same: the broker lost its disk. */
  confirmedAndLost: number;
  /** It is there twice. */
  duplicate: number;
  latencyMaxMs: number;
}

/**
 * A message broker as a server of its own, which outlives the processes that use it: Holdfast's in-process broker in the middle,
 * and around it what RabbitMQ and a network do. A publication is confirmed when it is in its queues. Frames overtake one
 * another. When a connection is lost, what was unsettled on it goes back, and nobody hears what became of what was sent.
 */
export class SimulatedBroker {
  readonly server: SimulatedProcess = aProcess('broker');
  readonly inner: Broker;
  isDown = false;
  faults: BrokerFaults = { lostPublication: 0, lostConfirm: 0, confirmedAndLost: 0, duplicate: 0, latencyMaxMs: 1 };
  /** Publications that have left their process and not arrived. */
  underWay = 0;
  private readonly links = new Set<Link>();

  constructor(
    readonly scheduler: Scheduler,
    readonly hooks: { count: (fault: keyof BrokerFaults) => void; onAccepted: (publication: Publication) => void },
  ) {
    this.inner = createInProcessBroker({ random: scheduler.random });
  }

  async open(): Promise<void> {
    await this.inner.declare(topology);
  }

  /** What a process uses as its broker. */
  connect(process: SimulatedProcess): Link {
    const link = new Link(this, process);
    this.links.add(link);
    return link;
  }

  /** Cuts the connections of these processes, or of all; they come back when they can. */
  cut(process?: SimulatedProcess): void {
    for (const link of this.links) if (!process || link.process === process) link.cut();
  }

  /** The process is gone: what it held goes back, and it never comes back itself. */
  forget(process: SimulatedProcess): void {
    this.cut(process);
    for (const link of this.links) if (link.process === process) this.links.delete(link);
  }

  /** Puts a publication into its queues, and tells later whether there was one. */
  accept(publication: Publication): { refusal?: Error } {
    const outcome: { refusal?: Error } = {};
    this.hooks.onAccepted(publication);
    this.inner.publish(publication).catch((error: Error) => (outcome.refusal = error));
    return outcome;
  }

  /** It was told, as far as anybody knows, and nobody hears of it. */
  lose(publication: Publication): { refusal?: Error } {
    this.hooks.onAccepted(publication);
    return {};
  }

  latencyMs(): number {
    return this.scheduler.between(0.05, this.faults.latencyMaxMs);
  }

  strikes(fault: keyof BrokerFaults): boolean {
    if (!this.scheduler.chance(this.faults[fault])) return false;
    this.hooks.count(fault);
    return true;
  }
}

/** One process's end: the Broker port over a network to the simulated server. */
export class Link implements Broker {
  readonly name = 'simulated';
  private session: LinkSession | undefined = new LinkSession();
  private readonly consuming = new Set<Consuming>();
  private isClosed = false;

  constructor(
    private readonly broker: SimulatedBroker,
    readonly process: SimulatedProcess,
  ) {
    if (broker.isDown) this.cut();
  }

  /** Everything is declared by the server. */
  declare(): Promise<void> {
    return Promise.resolve();
  }

  publish(publication: Publication): Promise<void> {
    const { session } = this;
    if (!session) return Promise.reject(new UnconfirmedError('not connected'));
    return new Promise((resolve, reject) => {
      const settle = (error?: Error) => {
        if (!session.unconfirmed.delete(settle)) return;
        timeout.work = undefined;
        return error ? reject(error) : resolve();
      };
      const timeout = this.here(confirmTimeoutMs, 'confirm timeout', () => settle(new UnconfirmedError('no answer')));
      session.unconfirmed.add(settle);
      this.send(publication, session, settle);
    });
  }

  private send(publication: Publication, session: LinkSession, settle: (error?: Error) => void): void {
    const { broker } = this;
    const what = `${publication.properties.type} of ${String(publication.properties.headers['cloudEvents:subject'])}`;
    if (broker.strikes('lostPublication')) return;
    const copies = broker.strikes('duplicate') ? 2 : 1;
    for (let copy = 1; copy <= copies; copy++) {
      if (this.process.isAlive) broker.underWay++;
      this.there(copy === 1 ? broker.latencyMs() : broker.latencyMs() * 10, `takes ${what}`, () => {
        broker.underWay--;
        if (!session.isOpen) return;
        const outcome = broker.strikes('confirmedAndLost') ? broker.lose(publication) : broker.accept(publication);
        if (broker.strikes('lostConfirm')) return;
        this.here(broker.latencyMs(), `confirmed ${what}`, () => settle(outcome.refusal));
      });
    }
  }

  async consume(queue: string, options: ConsumeOptions, onDelivery: (delivery: Delivery) => void): Promise<Subscription> {
    const consuming: Consuming = { queue, options, onDelivery, isCancelled: false };
    this.consuming.add(consuming);
    this.subscribe(consuming);
    await this.roundTrip(`consumes ${queue}`, () => undefined).catch(() => undefined);
    return {
      cancel: async () => {
        consuming.isCancelled = true;
        this.consuming.delete(consuming);
        await this.roundTrip(`cancels ${queue}`, () => consuming.subscription?.cancel()).catch(() => undefined);
      },
    };
  }

  private subscribe(consuming: Consuming): void {
    const { session } = this;
    if (!session) return;
    this.there(this.broker.latencyMs(), `consumer on ${consuming.queue}`, () => {
      if (!session.isOpen || consuming.isCancelled) return;
      const onDelivery = (delivery: Delivery) => this.deliver(delivery, consuming, session);
      void this.broker.inner.consume(consuming.queue, consuming.options, onDelivery).then((subscription) => {
        consuming.subscription = subscription;
        session.subscriptions.push(subscription);
      });
    });
  }

  private deliver(delivery: Delivery, consuming: Consuming, session: LinkSession): void {
    session.unsettled.add(delivery as Returnable);
    if (!session.isOpen) return;
    const { type, headers } = delivery.properties;
    this.here(this.broker.latencyMs(), `delivered ${type} of ${String(headers['cloudEvents:subject'])}`, () => {
      if (!consuming.isCancelled) consuming.onDelivery(this.handed(delivery as Returnable, session));
    });
  }

  /** Its settlement travels; on a session that is gone it does nothing. */
  private handed(delivery: Returnable, session: LinkSession): Delivery {
    const settle = (how: string, settlement: () => unknown) =>
      this.roundTrip(`${how} ${delivery.properties.type}`, () => {
        if (!session.isOpen) throw new UnconfirmedError('the connection of the delivery is gone');
        if (session.unsettled.delete(delivery)) settlement();
      });
    const { queue, exchange, routingKey, body, properties, redelivered, attempt } = delivery;
    return {
      ...{ queue, exchange, routingKey, body, properties, redelivered, attempt },
      ack: () => void settle('ack', () => delivery.ack()).catch(() => undefined),
      retry: (delayMs, reason) => settle('retry', () => delivery.retry(delayMs, reason)),
      deadLetter: (reason) => settle('dead letter', () => delivery.deadLetter(reason)),
    };
  }

  async depth(queue: string): Promise<QueueDepth | undefined> {
    return this.roundTrip(`depth of ${queue}`, () => this.broker.inner.depth(queue));
  }

  unsettled(): number {
    return this.session?.unconfirmed.size ?? 0;
  }

  status(): BrokerStatus {
    return { state: this.isClosed ? 'closed' : this.session ? 'ready' : 'connecting', detail: 'simulated' };
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.cut();
    return Promise.resolve();
  }

  /** The connection is lost. The server sees it too; the process tries to come back until the server is there. */
  cut(): void {
    const { session } = this;
    if (!session) return;
    const { scheduler, server } = this.broker;
    this.session = undefined;
    session.isOpen = false;
    scheduler.at(0, server, `loses ${this.process.name}`, () => session.end());
    this.here(0, 'connection lost', () => session.forsake());
    if (!this.isClosed) this.reconnect();
  }

  private reconnect(): void {
    this.here(this.broker.scheduler.between(100, 1_000), 'connects again', () => {
      if (this.broker.isDown) return this.reconnect();
      this.session = new LinkSession();
      for (const consuming of this.consuming) this.subscribe(consuming);
    });
  }

  private roundTrip<T>(label: string, work: () => T | Promise<T>): Promise<T> {
    const { session, broker } = this;
    if (!session) return Promise.reject(new Error('Not connected to the broker.'));
    return new Promise((resolve, reject) => {
      const lost = () => reject(new UnconfirmedError('the connection was lost'));
      session.calls.add(lost);
      const answer = (settle: () => void) => {
        session.calls.delete(lost);
        this.here(broker.latencyMs(), `${label}: done`, settle);
      };
      this.there(broker.latencyMs(), label, () => {
        if (!session.isOpen) return;
        void (async () => work())().then(
          (value) => answer(() => resolve(value)),
          (error: Error) => answer(() => reject(error)),
        );
      });
    });
  }

  private here(delayMs: number, label: string, work: () => void) {
    return this.broker.scheduler.at(delayMs, this.process, label, work);
  }

  /** What a dead process would still send is not sent. */
  private there(delayMs: number, label: string, work: () => void): void {
    if (this.process.isAlive) this.broker.scheduler.at(delayMs, this.broker.server, `${label} (${this.process.name})`, work);
  }
}

/** One connection, from its begin to its loss. */
class LinkSession {
  isOpen = true;
  readonly unconfirmed = new Set<(error: Error) => void>();
  readonly calls = new Set<() => void>();
  readonly subscriptions: Subscription[] = [];
  readonly unsettled = new Set<Returnable>();

  /** As the server sees it: nobody consumes any more, and what is unsettled goes back. */
  end(): void {
    for (const subscription of this.subscriptions) void subscription.cancel();
    for (const delivery of this.unsettled) delivery.giveBack();
    this.unsettled.clear();
  }

  /** As the process sees it: nothing that it waits for will ever be answered. */
  forsake(): void {
    for (const settle of [...this.unconfirmed]) settle(new UnconfirmedError('the connection was lost'));
    for (const lost of this.calls) lost();
  }
}

interface Consuming {
  queue: string;
  options: ConsumeOptions;
  onDelivery: (delivery: Delivery) => void;
  isCancelled: boolean;
  subscription?: Subscription;
}

/** The deliveries of the in-process broker can be handed back as lost. */
type Returnable = Delivery & { giveBack(): void };
