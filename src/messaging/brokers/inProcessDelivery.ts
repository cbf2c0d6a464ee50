import { type Delivery, type Publication } from '../broker';
import { type Confirmation } from './confirmation';

/** One message in one queue. */
export interface Entry {
  publication: Publication;
  confirmation: Confirmation;
  attempt: number;
  /** How often it was handed out and came back without being settled. */
  losses: number;
  /** Counts towards the confirmation: false in queues that are only looked at. */
  held: boolean;
  /** When nobody wants it any more, by the clock of this process. */
  expiresAt: number;
}

/** How a delivery was settled. */
export type Outcome =
  | { type: 'ack' }
  | { type: 'retry'; delayMs: number }
  | { type: 'dead-letter'; reason: string }
  /** The consumer threw it away unsettled. */
  | { type: 'lost' };

/** An entry that was handed to a consumer. Only the first settlement counts. */
export class InProcessDelivery implements Delivery {
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: Buffer;
  readonly properties: Publication['properties'];
  readonly redelivered: boolean;
  readonly attempt: number;
  private isSettled = false;

  constructor(
    readonly queue: string,
    { publication, attempt, losses }: Entry,
    private readonly settle: (outcome: Outcome) => void,
  ) {
    this.exchange = publication.exchange;
    this.routingKey = publication.routingKey;
    this.body = publication.body;
    // A copy: one queue's consumer must not change what another one sees.
    this.properties = { ...publication.properties, headers: { ...publication.properties.headers } };
    this.redelivered = losses > 0;
    this.attempt = attempt;
  }

  ack(): void {
    this.once({ type: 'ack' });
  }

  retry(delayMs: number): Promise<void> {
    this.once({ type: 'retry', delayMs: Math.max(0, delayMs) });
    return Promise.resolve();
  }

  deadLetter(reason: string): Promise<void> {
    this.once({ type: 'dead-letter', reason });
    return Promise.resolve();
  }

  giveBack(): void {
    this.once({ type: 'lost' });
  }

  private once(outcome: Outcome): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.settle(outcome);
  }
}
