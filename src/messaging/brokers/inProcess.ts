import { type Consumer, getRoutingKeyPattern, Queue } from 'smqp';
import { type Logger } from '../../observability';
import {
  type Broker,
  type BrokerStatus,
  type ConsumeOptions,
  type Delivery,
  type Publication,
  type QueueDeclaration,
  type QueueDepth,
  type Subscription,
  type Topology,
  UnconfirmedError,
  UnroutableError,
} from '../broker';
import { Confirmation } from './confirmation';
import { InProcessDelivery, type Entry, type Outcome } from './inProcessDelivery';
import { deadLetterExchange, deadLetterHeaders, deadQueue, deliveryLimit, deliveryLimitReason } from './wireNames';
import { createRoutes, type Routes } from './routes';
import { createSlices } from './slices';

export interface InProcessBrokerOptions {
  log?: Logger;
  random: () => number;
}

/**
 * A broker in this process, for the embedded shape: the queues, prefetch and redelivery of smqp, with AMQP's routing in front
 * and one promise on top. Memory keeps nothing over a crash, so `publish` resolves only when every work queue that took the
 * message has settled it: until then the outbox row stays unpublished, and the next start dispatches it again.
 */
export function createInProcessBroker({ log, random }: InProcessBrokerOptions): Broker {
  return new InProcessBroker(random, log);
}

/** What smqp hands to a consumer, as far as it matters here. */
interface QueuedMessage {
  content: Entry;
  ack(allUpTo?: boolean): void;
  nack(allUpTo?: boolean, requeue?: boolean): void;
}

interface HostedQueue {
  name: string;
  kind: QueueDeclaration['kind'] | 'dead';
  messages: Queue;
  /** What has waited so long is dropped. */
  ttlMs: number;
}

class InProcessBroker implements Broker {
  readonly name = 'in-process';
  private readonly routes: Routes = createRoutes(getRoutingKeyPattern);
  private readonly queues = new Map<string, HostedQueue>();
  /** Deliveries and confirms go out in bounded slices between which the event loop serves everyone else. */
  private readonly slices = createSlices();
  private readonly confirmations = new Set<Confirmation>();
  private readonly retryTimers = new Set<NodeJS.Timeout>();
  private readonly subscriptions = new Set<Subscription>();
  private counted = 0;
  private deaths = 0;
  private closed = false;

  constructor(
    private readonly random: () => number,
    private readonly log?: Logger,
  ) {
    this.routes.addExchange({ name: deadLetterExchange, type: 'topic' });
  }

  declare(topology: Topology): Promise<void> {
    if (this.closed) return Promise.reject(new Error('The in-process broker is closed: it declares nothing any more.'));
    for (const exchange of topology.exchanges) this.routes.addExchange(exchange);
    for (const queue of topology.queues) this.addQueue(queue);
    for (const binding of topology.bindings) this.routes.addBinding(binding);
    return Promise.resolve();
  }

  async publish(publication: Publication): Promise<void> {
    if (this.closed) throw new UnconfirmedError('the in-process broker is closed');
    const takers = this.takersOf(publication);
    if (takers.length === 0) {
      if (publication.mandatory) throw new UnroutableError(publication);
      return this.slices.next();
    }
    // A bounded or temporary queue is only looked at: nobody must work its messages off, so they hold no confirm.
    const holders = takers.filter(holdsConfirm).length;
    const confirmation = new Confirmation(holders, (change) => (this.counted += change));
    for (const queue of takers) {
      this.enqueue(queue, {
        publication,
        confirmation,
        attempt: 1,
        losses: 0,
        held: holdsConfirm(queue),
        expiresAt: expiryOf(publication, queue),
      });
    }
    if (holders === 0) return this.slices.next();
    this.confirmations.add(confirmation);
    await confirmation.settled.finally(() => this.confirmations.delete(confirmation));
  }

  consume(name: string, { prefetch }: ConsumeOptions, onDelivery: (delivery: Delivery) => void): Promise<Subscription> {
    const queue = this.queues.get(name);
    if (this.closed) return Promise.reject(new Error(`Cannot consume "${name}": the in-process broker is closed.`));
    if (!queue) return Promise.reject(new Error(`Cannot consume "${name}": there is no such queue. Declare it first.`));
    if (!(prefetch >= 1)) return Promise.reject(new RangeError(`prefetch must be 1 or more; got ${prefetch}.`));
    let cancelled = false;
    const consumer = queue.messages.consume(
      (_key: string, message: unknown) => {
        const queued = message as QueuedMessage;
        this.slices.add(() => (cancelled ? queued.nack(false, true) : this.hand(queue, queued, onDelivery)));
      },
      { prefetch },
    ) as Consumer;
    const subscription: Subscription = {
      cancel: () => {
        if (cancelled) return Promise.resolve();
        cancelled = true;
        this.subscriptions.delete(subscription);
        consumer.cancel({ keepPending: true });
        if (queue.kind === 'temporary' && queue.messages.consumerCount === 0) this.removeQueue(queue);
        return Promise.resolve();
      },
    };
    this.subscriptions.add(subscription);
    return Promise.resolve(subscription);
  }

  depth(name: string): Promise<QueueDepth | undefined> {
    const queue = this.queues.get(name)?.messages;
    if (!queue) return Promise.resolve(undefined);
    const { messageCount, unackedCount, consumerCount } = queue.getStats();
    return Promise.resolve({ ready: messageCount - unackedCount, consumers: consumerCount });
  }

  unsettled(): number {
    return this.counted;
  }

  status(): BrokerStatus {
    return this.closed
      ? { state: 'closed', detail: 'closed with this process' }
      : { state: 'ready', detail: `${this.queues.size} queues in memory` };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await Promise.all([...this.subscriptions].map((subscription) => subscription.cancel()));
    for (const timer of this.retryTimers) clearTimeout(timer);
    for (const queue of this.queues.values()) queue.messages.stop();
    for (const confirmation of this.confirmations) confirmation.abandon();
  }

  /** The default exchange reaches every queue by its name. */
  private takersOf({ exchange, routingKey }: Publication): HostedQueue[] {
    const names = exchange === '' ? [routingKey] : this.routes.match(exchange, routingKey);
    if (!names) throw new UnconfirmedError(`there is no exchange "${exchange}"; declare it`);
    const takers: HostedQueue[] = [];
    for (const name of names) {
      const queue = this.queues.get(name);
      if (queue) takers.push(queue);
    }
    return takers;
  }

  private addQueue(declaration: QueueDeclaration): void {
    if (this.queues.has(declaration.name)) return;
    const lengthMax = 'lengthMax' in declaration ? declaration.lengthMax : undefined;
    const maxLength = lengthMax === undefined ? undefined : { maxLength: lengthMax };
    this.host(declaration.name, declaration.kind, maxLength, 'ttlMs' in declaration ? declaration.ttlMs : Infinity);
    if (declaration.kind !== 'work') return;
    const dead = deadQueue(declaration.name);
    this.host(dead, 'dead');
    this.routes.addBinding({ exchange: deadLetterExchange, key: declaration.name, to: { queue: dead } });
  }

  private host(name: string, kind: HostedQueue['kind'], options?: { maxLength: number }, ttlMs = Infinity): void {
    this.queues.set(name, { name, kind, messages: new Queue(name, { autoDelete: false, ...options }), ttlMs });
  }

  private removeQueue(queue: HostedQueue): void {
    queue.messages.stop();
    this.queues.delete(queue.name);
    this.routes.removeQueue(queue.name);
  }

  private enqueue(queue: HostedQueue, entry: Entry): void {
    queue.messages.queueMessage({ routingKey: '' }, entry);
  }

  private hand(queue: HostedQueue, queued: QueuedMessage, onDelivery: (delivery: Delivery) => void): void {
    if (this.closed) return;
    if (performance.now() >= queued.content.expiresAt) return queued.ack(false);
    const delivery = new InProcessDelivery(queue.name, queued.content, (outcome) => this.settle(queue, queued, outcome));
    const giveBack = (error: unknown) => {
      this.log?.error({ err: error, queue: queue.name }, 'A consumer threw: its delivery goes back into the queue.');
      delivery.giveBack();
    };
    try {
      const result: unknown = onDelivery(delivery);
      if (result instanceof Promise) result.catch(giveBack);
    } catch (error) {
      giveBack(error);
    }
  }

  private settle(queue: HostedQueue, queued: QueuedMessage, outcome: Outcome): void {
    if (this.closed) return;
    const entry = queued.content;
    switch (outcome.type) {
      case 'ack':
        queued.ack(false);
        if (entry.held) entry.confirmation.settle(queue.kind === 'dead');
        return;
      case 'retry':
        queued.ack(false);
        this.enqueueLater(queue, { ...entry, attempt: entry.attempt + 1, losses: 0 }, outcome.delayMs);
        return;
      case 'dead-letter':
        queued.ack(false);
        this.bury(queue, entry, outcome.reason);
        return;
      case 'lost':
        entry.losses += 1;
        if (entry.losses <= deliveryLimit) return queued.nack(false, true);
        queued.ack(false);
        this.bury(queue, entry, deliveryLimitReason);
    }
  }

  private enqueueLater(queue: HostedQueue, entry: Entry, delayMs: number): void {
    const timer = setTimeout(() => {
      this.retryTimers.delete(timer);
      this.enqueue(queue, entry);
    }, delayMs).unref();
    this.retryTimers.add(timer);
  }

  /** A dead letter holds the confirm of its publication until it is kept elsewhere: a crash before brings it back. It no longer counts as unsettled. */
  private bury(queue: HostedQueue, entry: Entry, reason: string): void {
    const dead = queue.kind === 'dead' ? queue : this.queues.get(deadQueue(queue.name));
    if (!dead) {
      this.log?.warn({ queue: queue.name, reason }, 'A message was refused in a queue without dead letters, and is dropped.');
      if (entry.held) entry.confirmation.settle(false);
      return;
    }
    if (entry.held && queue.kind !== 'dead') entry.confirmation.die();
    const { publication } = entry;
    const death = deadLetterHeaders(queue.name, entry.attempt, reason, this.deathId());
    const headers = { ...publication.properties.headers, ...death };
    const properties = { ...publication.properties, headers };
    this.enqueue(dead, { ...entry, publication: { ...publication, properties }, attempt: 1, losses: 0 });
  }

  /** Must not come again after a restart, when the letters of before are still there to be compared with. */
  private deathId(): string {
    this.deaths += 1;
    return `${this.deaths}-${this.random().toString(36).slice(2)}${this.random().toString(36).slice(2)}`;
  }
}

function holdsConfirm(queue: HostedQueue): boolean {
  return queue.kind === 'work' || queue.kind === 'dead';
}

/** A work queue keeps what it was given for as long as it takes. */
function expiryOf({ expirationMs = Infinity }: Publication, queue: HostedQueue): number {
  return holdsConfirm(queue) ? Infinity : performance.now() + Math.min(expirationMs, queue.ttlMs);
}
