import { Client } from 'undici';

import { Caller } from './caller';
import { startClock, Tally, wallOffsetMs, type RoundClock } from './clock';
import { orderMaker, type OrderMaker } from './orders';
import { requestBodies } from './requestBodies';
import { type LoadReply, type LoadRequest } from './requests';
import { serve } from './serve';

/**
 * The clients of a bench, in a process of their own: they share the machine with what they measure, so they do as little as can be
 * done, and do the same whoever answers.
 */
class Load {
  private accepted = 0;
  private refused = 0;
  private brokenRequests = 0;
  private refusal: string | undefined;
  private sent = 0;
  private readonly offsetMs = wallOffsetMs();
  private readonly clock: RoundClock;
  private readonly tally: Tally;
  private readonly bodyOf: (index: number, sentAtMs: number) => string;

  constructor(
    private readonly request: LoadRequest,
    maker: OrderMaker,
  ) {
    this.bodyOf = requestBodies(request, maker);
    this.clock = startClock(request);
    this.tally = new Tally(this.clock);
  }

  async run(callers: Caller[]): Promise<LoadReply> {
    await (this.request.ordersPerSecond === undefined
      ? this.closedLoop(callers)
      : this.paced(callers, this.request.ordersPerSecond));
    if (this.isTooBroken())
      throw new Error(`${this.brokenRequests} of ${this.sent} requests were not answered at all: ${this.refusal}`);
    if (this.accepted === 0 && !this.request.mayBeRefused)
      throw new Error(`No order was accepted: ${this.refusal ?? 'nothing was answered'}`);
    return {
      ...{ accepted: this.accepted, refused: this.refused, broken: this.brokenRequests * this.request.batch },
      refusal: this.refusal,
      ...{ acceptedPerSecond: this.tally.perSecond(), answerMs: this.tally.answerMs() },
      startedAtMs: this.clock.startedAt + this.offsetMs,
      measuredFromMs: this.clock.measuredFrom + this.offsetMs,
      measuredToMs: this.clock.measuredTo + this.offsetMs,
    };
  }

  private async closedLoop(callers: Caller[]): Promise<void> {
    const loop = async (caller: Caller) => {
      while (this.mayGoOn()) await this.ask(caller, performance.now());
    };
    await Promise.all(callers.map(loop));
  }

  /**
   * What is due while every connection is busy waits for one, and its time counts from when it was due. What is still waiting at the
   * end is not sent any more. Nothing wakes this process but an answer and the next order: a clock that ticked would be charged to
   * the machine that is measured. It may wake a millisecond late, but the pace is kept, since the next is due by the plan.
   */
  private async paced(callers: Caller[], ordersPerSecond: number): Promise<void> {
    const idle = [...callers];
    const underWay = new Set<Promise<void>>();
    const gapMs = (1_000 * this.request.batch) / ordersPerSecond;
    let dueAt = this.clock.startedAt;
    const send = (caller: Caller) => {
      const asking = this.ask(caller, dueAt).then(() => {
        idle.push(caller);
        underWay.delete(asking);
      });
      underWay.add(asking);
      dueAt += gapMs;
    };
    while (this.mayGoOn()) {
      while (idle.length > 0 && dueAt <= performance.now() && this.mayGoOn()) send(idle.pop()!);
      await (idle.length > 0 ? until(Math.min(dueAt, this.clock.measuredTo)) : Promise.race(underWay));
    }
    await Promise.all(underWay);
  }

  private mayGoOn(): boolean {
    const { ordersMax = Infinity } = this.request;
    const isOver = performance.now() >= this.clock.measuredTo || this.sent * this.request.batch >= ordersMax;
    return !isOver && !this.isTooBroken();
  }

  /** Only an order that was accepted has a time of answer. A connection that failed is made anew with its next request, after a rest. */
  private async ask(caller: Caller, sentAt: number): Promise<void> {
    const { orders, fault, isBroken } = await caller.ask(this.bodyOf(this.sent++, sentAt + this.offsetMs));
    this.accepted += orders;
    this.refusal ??= fault;
    if (orders > 0) this.tally.finished(orders, sentAt, performance.now());
    if (!isBroken) this.refused += this.request.batch - orders;
    else {
      this.brokenRequests++;
      await until(performance.now() + RECONNECT_MS);
    }
  }

  /** More than a few: what such a round says is of the breaking. */
  private isTooBroken(): boolean {
    return this.brokenRequests > Math.max(BROKEN_MAX, this.sent / 100);
  }
}

const RECONNECT_MS = 100;
const BROKEN_MAX = 10;

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.ceil(time - performance.now())));
}

const ANSWER_LIMIT_MS = 60_000;

async function run(request: LoadRequest): Promise<LoadReply> {
  const callers = Array.from({ length: request.clients }, (_, index) => {
    const { origin, pathname } = new URL(request.urls[index % request.urls.length]!);
    return new Caller(
      new Client(origin, { pipelining: 1, headersTimeout: ANSWER_LIMIT_MS, bodyTimeout: ANSWER_LIMIT_MS }),
      pathname,
      request.authorization,
    );
  });
  try {
    return await new Load(request, orderMaker(request)).run(callers);
  } finally {
    await Promise.all(callers.map((caller) => caller.close()));
  }
}

serve(run);
