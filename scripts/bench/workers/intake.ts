import { randomUUID } from 'node:crypto';

import { type ForeignOrder } from '../../audit';
import { openForeignDesk, type ForeignDesk } from '../../simulate/foreignDesk';
import { startClock, Tally, type RoundClock } from './clock';
import { orderMaker, type OrderMaker } from './orders';
import { type IntakeReply, type IntakeRequest } from './requests';
import { serve } from './serve';

/** Another order service: its OrderCreated go to RabbitMQ, and each is answered when `inventory` has said what became of it. */
async function run(request: IntakeRequest): Promise<IntakeReply> {
  const desk = await openForeignDesk({ url: request.brokerUrl, timeoutMs: 60_000 });
  const clock = startClock(request);
  const tally = new Tally(clock);
  const maker = orderMaker(request);
  try {
    const place = () => placeOrders(desk, maker, { tag: request.tag, clock, tally });
    const foreign = (await Promise.all(Array.from({ length: request.clients }, place))).flat();
    const broken = foreign.filter(({ answers }) => answers.length === 0).length;
    const orders = foreign.filter(isReserved).length;
    const refused = foreign.length - orders - broken;
    return { foreign, orders, refused, broken, ordersPerSecond: tally.perSecond(), answerMs: tally.answerMs() };
  } finally {
    await desk.close();
  }
}

interface Round {
  tag: string;
  clock: RoundClock;
  tally: Tally;
}

async function placeOrders(desk: ForeignDesk, maker: OrderMaker, { tag, clock, tally }: Round): Promise<ForeignOrder[]> {
  const foreign: ForeignOrder[] = [];
  for (let now = performance.now(); now < clock.measuredTo; ) {
    const sentAt = now;
    const [orderId, lines] = [`${tag}.${randomUUID()}`, maker.lines()];
    const order = { orderId, lines, answers: await desk.order(orderId, lines) };
    foreign.push(order);
    now = performance.now();
    if (isReserved(order)) tally.finished(1, sentAt, now);
  }
  return foreign;
}

function isReserved({ answers }: ForeignOrder): boolean {
  return answers[0] === 'StockReserved';
}

serve(run);
