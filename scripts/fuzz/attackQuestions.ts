import { type Options } from 'amqplib';

import { rpcRefusal, rpcs, type Rpc } from '../../src/contracts';
import { pick, seededRandom, type Random } from '../random';
import { hostileOptions } from './envelopes';
import { accidents, bytesOf, oddities, rubbish, someItems, type Body, type Maker, type PayloadOptions } from './payloads';
import { openAsker, type Asker } from './publish';
import { type Violation } from './violation';

export interface QuestionAttack extends PayloadOptions {
  brokerUrl: string;
  /** How many for each queue. */
  questions: number;
  signal: AbortSignal;
  onProgress: (answered: number, asked: number) => void;
}

export interface QuestionOutcome {
  queues: Record<string, { asked: number; answered: number; refused: number }>;
  violations: Violation[];
  seconds: number;
}

/**
 * Asks every queue of questions what may be asked of it, and what may not. Each must be answered once: a good one by what its
 * contract says, a bad one by what is wrong with it, and none by a fault of ours.
 */
export async function attackQuestions(attack: QuestionAttack): Promise<QuestionOutcome> {
  const startedAt = performance.now();
  const asker = await openAsker(attack.brokerUrl);
  const outcome: Omit<QuestionOutcome, 'seconds'> = { queues: {}, violations: [] };
  for (const { queue } of Object.values(rpcs)) outcome.queues[queue] = { asked: 0, answered: 0, refused: 0 };
  try {
    for (let from = 0; from < attack.questions && !attack.signal.aborted; from += STEP) {
      const numbers = Array.from({ length: Math.min(STEP, attack.questions - from) }, (_, index) => from + index);
      const asked = numbers.flatMap((number) => names.map((name) => question(name, number, attack)));
      await Promise.all(asked.map((one) => ask(one, asker, outcome)));
      attack.onProgress((from + numbers.length) * names.length, attack.questions * names.length);
    }
    for (const id of asker.unexpected()) outcome.violations.push({ what: 'answered twice', where: id, sample: '' });
    return { ...outcome, seconds: (performance.now() - startedAt) / 1_000 };
  } finally {
    await asker.close();
  }
}

type RpcName = keyof typeof rpcs;
const names = Object.keys(rpcs) as RpcName[];

/** Of each queue at a time: they keep no more than 1,000. */
const STEP = 10;
const ANSWER_LIMIT_MS = 30_000;

/** One question, and how it must be answered; `either` where chance made it. */
interface Question {
  rpc: Rpc;
  id: string;
  name: string;
  fate: 'processed' | 'dead' | 'either';
  body: Buffer;
  options: Options.Publish;
}

/** The question of a number: the same seed gives the same one. */
export function question(name: RpcName, number: number, { seed, known }: PayloadOptions): Question {
  const index = names.indexOf(name);
  const random = seededRandom(seed * 6_151 + number * 31_337 + index * 12_289 + 7);
  const id = `${seed}.${rpcs[name].queue}.${number}`;
  const good = goodQuestions[name]({ id, items: someItems(known, random), known, random });
  const [how, make] = pick(makers, random);
  const made = make({ good, known, random });
  const envelope = hostileOptions({ number, hasBodyOfItsOwn: true }, random);
  // Who lets a question expire, or names somebody else to answer, does not wait for the answer.
  const options = { ...envelope.options, expiration: undefined, replyTo: undefined };
  return { rpc: rpcs[name], id, name: `${how}, ${envelope.name}`, fate: made.fate, body: bytesOf(made.body), options };
}

interface Good {
  id: string;
  items: { product_id: number; quantity: number }[];
  known: PayloadOptions['known'];
  random: Random;
}

const goodQuestions: Record<RpcName, (source: Good) => Body> = {
  stockCheck: ({ items }) => ({ items }),
  stockUpdate: ({ known, random }) => ({ product_id: pick(known.productIds, random), on_hand: 7, compare_on_hand: -1 }),
  userCheck: ({ known, random }) => ({ user_id: pick(known.customers, random), amount: 100 }),
  orderCreate: ({ id, items }) => ({ order_id: id, user_id: 'fuzz', order: items }),
  orderStatus: ({ known, random }) => ({ order_id: pick(known.orderIds, random) }),
  orderStatusUpdate: ({ known, random }) => ({ order_id: pick(known.orderIds, random), status: 'CANCELLED' }),
};

/** No field of a question may be any of these. */
const wrongField: Maker = ({ good, random }) => {
  const field = pick(Object.keys(good), random);
  return { body: { ...good, [field]: pick([null, {}, [], true, [null], '', 1.5, -1.5], random) }, fate: 'dead' };
};

const makers: [string, Maker][] = [
  ...oddities,
  ...oddities,
  ...rubbish,
  ['a wrong field', wrongField],
  ['a wrong field', wrongField],
  ...accidents,
];

async function ask(one: Question, asker: Asker, { queues, violations }: Omit<QuestionOutcome, 'seconds'>): Promise<void> {
  const counts = queues[one.rpc.queue]!;
  counts.asked++;
  const answer = await asker.ask(one.rpc.queue, one.id, one.body, one.options, ANSWER_LIMIT_MS);
  // The broker or its client would not take such a question at all.
  if (answer === 'not taken') return void counts.asked--;
  const fault = faultOf(one, answer);
  if (fault) violations.push({ what: fault, where: `${one.id}: ${one.name}`, sample: one.body.toString().slice(0, 500) });
  if (answer !== undefined) counts[isRefusal(one.rpc, answer) ? 'refused' : 'answered']++;
}

/** What is wrong with an order that was asked for, orders say themselves; other questions that are none are refused before. */
function isRefusal({ queue }: Rpc, answer: unknown): boolean {
  const isOrder = queue === rpcs.orderCreate.queue;
  return rpcRefusal.safeParse(answer).success || (isOrder && (answer as { code?: string }).code === 'VALIDATION_FAILED');
}

/** What breaks a promise in this answer, in words. */
function faultOf({ rpc, fate }: Question, answer: unknown): string | undefined {
  if (answer === undefined) return 'no answer';
  const refusal = rpcRefusal.safeParse(answer);
  if (refusal.success) {
    const { code, message } = refusal.data.error;
    if (code !== 'BAD_REQUEST') return `${code}: ${message}`;
    return fate === 'processed' ? `good, and refused: ${message}` : undefined;
  }
  if (!rpc.reply.safeParse(answer).success) return `not of its contract: ${JSON.stringify(answer).slice(0, 300)}`;
  return fate === 'dead' && !isRefusal(rpc, answer) ? 'bad, and answered' : undefined;
}
