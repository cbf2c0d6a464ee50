import { createUnionType, Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';

import { Connection, Edge, ErrorCode, ErrorResult, Timestamp, ValidationError } from '../graphql';
import { type DeadLetterFilter, type DeadLetterView } from './readDeadLetters';
import { LETTERS_PER_CALL_MAX, type SettledLetter, type SettleResult } from './settling';

export enum DeadLetterState {
  WAITING = 'WAITING',
  REPLAYED = 'REPLAYED',
  DISCARDED = 'DISCARDED',
}

registerEnumType(DeadLetterState, {
  name: 'DeadLetterState',
  description: 'WAITING becomes REPLAYED or DISCARDED; a message that dies once more is WAITING again.',
  valuesConfig: {
    WAITING: { description: 'Nobody has acted on it.' },
    REPLAYED: { description: 'Its message was published again, and the broker has it.' },
    DISCARDED: { description: 'Somebody decided that nobody need act on it.' },
  },
});

export enum DeadLetterActionKind {
  REPLAY = 'REPLAY',
  DISCARD = 'DISCARD',
}

registerEnumType(DeadLetterActionKind, {
  name: 'DeadLetterActionKind',
  description: 'What somebody did about a dead letter.',
  valuesConfig: {
    REPLAY: { description: 'Published its message again.' },
    DISCARD: { description: 'Put it aside for good.' },
  },
});

export enum DeadLetterOutcome {
  REPLAYED = 'REPLAYED',
  DIED_AGAIN = 'DIED_AGAIN',
  UNDER_WAY = 'UNDER_WAY',
  FAILED = 'FAILED',
  DISCARDED = 'DISCARDED',
  ALREADY = 'ALREADY',
  WOULD_REPLAY = 'WOULD_REPLAY',
  WOULD_DISCARD = 'WOULD_DISCARD',
}

registerEnumType(DeadLetterOutcome, {
  name: 'DeadLetterOutcome',
  description: 'What became of one dead letter in a replay or a discard.',
  valuesConfig: {
    REPLAYED: { description: 'Published, and the broker has it. Should its message die again, it is WAITING again.' },
    DIED_AGAIN: { description: 'Published, and dead once more already; it waits again.' },
    UNDER_WAY: { description: 'On its way by this call or by another; it is settled when its message is.' },
    FAILED: { description: 'The broker did not take it; it still waits.' },
    DISCARDED: { description: 'Put aside.' },
    ALREADY: { description: 'It had been replayed or discarded before; nothing was done.' },
    WOULD_REPLAY: { description: 'Dry run: a replay would publish it.' },
    WOULD_DISCARD: { description: 'Dry run: a discard would put it aside.' },
  },
});

export enum BodyEncoding {
  UTF8 = 'UTF8',
  BASE64 = 'BASE64',
}

registerEnumType(BodyEncoding, {
  name: 'BodyEncoding',
  description: 'How the bytes of a body are written here.',
  valuesConfig: {
    UTF8: { description: 'As the text they are.' },
    BASE64: { description: 'In base64: they are no UTF-8 text.' },
  },
});

@ObjectType({ description: 'The body of a message, whole.' })
export class DeadLetterBody {
  @Field(() => BodyEncoding, { description: 'How `content` is written.' })
  encoding!: BodyEncoding;

  @Field(() => String, { description: 'The body.' })
  content!: string;

  static of(bytes: Buffer): DeadLetterBody {
    const text = bytes.toString('utf8');
    const isText = Buffer.from(text, 'utf8').equals(bytes);
    const { UTF8, BASE64 } = BodyEncoding;
    return Object.assign(
      new DeadLetterBody(),
      isText ? { encoding: UTF8, content: text } : { encoding: BASE64, content: bytes.toString('base64') },
    );
  }
}

@ObjectType({ description: 'A header or property of a message, as it was sent.' })
export class DeadLetterHeader {
  @Field(() => String, { description: 'Its name, such as `cloudEvents:type`.' })
  name!: string;

  @Field(() => String, { description: 'Its value; what is not text is written as JSON.' })
  value!: string;
}

@ObjectType({ description: 'What somebody did about a dead letter; written once, never changed.' })
export class DeadLetterAction {
  @Field(() => DeadLetterActionKind, { description: 'What was done.' })
  action!: string;

  @Field(() => String, { description: 'Who did it, as they said.' })
  actor!: string;

  @Field(() => String, {
    nullable: true,
    description: 'Whose token was shown, whatever name they gave; null for what was done before this was noted.',
  })
  caller!: string | null;

  @Field(() => String, { description: 'Why.' })
  reason!: string;

  @Field(() => Timestamp, { description: "When, by the database's clock." })
  at!: Date;
}

@ObjectType({ description: 'A message that nobody could act on, kept until an operator has.' })
export class DeadLetter {
  @Field(() => ID, { description: 'Its id; a replay carries it as the header `x-holdfast-dead-letter`.' })
  id!: string;

  @Field(() => DeadLetterState, { description: 'Where it stands.' })
  state!: string;

  @Field(() => String, { description: 'The queue where it died; `unrouted` for what no queue was bound to receive.' })
  queue!: string;

  @Field(() => String, { description: 'Why it died.' })
  reason!: string;

  @Field(() => Int, { description: 'The attempt at which it died.' })
  attempt!: number;

  @Field(() => Int, { description: 'How often it died: more than once when a replay did not help.' })
  timesDied!: number;

  @Field(() => Timestamp, { description: "When it died last, by the database's clock." })
  diedAt!: Date;

  @Field(() => String, { nullable: true, description: 'What kind of message it is, as far as it says so.' })
  type!: string | null;

  @Field(() => String, { nullable: true, description: 'What it is about, where its body says so: an order id, or `product:1`.' })
  aggregateId!: string | null;

  @Field(() => String, { nullable: true, description: 'The id its sender gave it.' })
  messageId!: string | null;

  @Field(() => String, { nullable: true, description: 'The conversation it belongs to.' })
  correlationId!: string | null;

  @Field(() => String, { description: 'The exchange it was published to.' })
  exchange!: string;

  @Field(() => String, { description: 'The routing key it was published with.' })
  routingKey!: string;

  @Field(() => Int, { description: 'The size of its body in bytes.' })
  bodySize!: number;

  @Field(() => [DeadLetterHeader], { description: 'Its headers and other properties, as they were sent.' })
  headers!: DeadLetterHeader[];

  @Field(() => String, { nullable: true, description: 'Who replayed or discarded it; null while it waits.' })
  settledBy!: string | null;

  @Field(() => String, { nullable: true, description: 'Why; null while it waits.' })
  settledBecause!: string | null;

  @Field(() => Timestamp, { nullable: true, description: 'When; null while it waits.' })
  settledAt!: Date | null;

  static of(view: DeadLetterView): DeadLetter {
    return Object.assign(new DeadLetter(), view, { headers: headersOf(view) });
  }
}

function headersOf({ properties }: DeadLetterView): DeadLetterHeader[] {
  const { headers = {}, ...others } = properties as { headers?: Record<string, unknown> };
  const entries = [...Object.entries(others), ...Object.entries(headers)];
  return entries.map(([name, value]) => ({ name, value: typeof value === 'string' ? value : JSON.stringify(value) }));
}

@ObjectType({ description: 'How the dead letters of one queue stand.' })
export class DeadLetterCount {
  @Field(() => String, { description: 'The queue where they died.' })
  queue!: string;

  @Field(() => Int, { description: 'How many wait for somebody.' })
  waiting!: number;

  @Field(() => Int, { description: 'How many were replayed.' })
  replayed!: number;

  @Field(() => Int, { description: 'How many were discarded.' })
  discarded!: number;

  @Field(() => Timestamp, { nullable: true, description: 'When the one that waits longest died; null when none waits.' })
  oldestWaiting!: Date | null;
}

@InputType({ description: 'Which dead letters; what is not given does not matter.' })
export class DeadLetterFilterInput {
  @Field(() => String, { nullable: true, description: 'Only those of this queue.' })
  queue?: string | null;

  @Field(() => String, { nullable: true, description: 'Only this kind of message, such as `OrderCreated`.' })
  type?: string | null;

  @Field(() => String, { nullable: true, description: 'Only those about this order, or about `product:1`.' })
  aggregateId?: string | null;

  @Field(() => String, { nullable: true, description: 'Only those whose reason contains this text, in any case.' })
  reason?: string | null;
}

@InputType({ description: 'Which dead letters to settle, by whom and why.' })
export class SettleDeadLettersInput {
  @Field(() => [ID], {
    nullable: true,
    description: `These, 1 to ${LETTERS_PER_CALL_MAX}; or else a filter, exactly one of the two.`,
  })
  ids?: string[] | null;

  @Field(() => DeadLetterFilterInput, { nullable: true, description: 'Those that wait and fit, oldest first.' })
  filter?: Omit<DeadLetterFilter, 'state'> | null;

  @Field(() => Int, {
    nullable: true,
    description: `With a filter: how many at most, 1 to ${LETTERS_PER_CALL_MAX}, which is the default.`,
  })
  first?: number | null;

  @Field(() => String, { nullable: true, description: 'With a filter: the `endCursor` of the call before, to go on after it.' })
  after?: string | null;

  @Field(() => Boolean, {
    defaultValue: false,
    description: 'Only say what would be done; nothing is changed, and nothing noted.',
  })
  dryRun!: boolean;

  @Field(() => String, { description: 'Who does it, for those who ask later; up to 100 characters.' })
  actor!: string;

  @Field(() => String, { description: 'Why, such as the fault that was mended or a ticket; up to 500 characters.' })
  reason!: string;
}

@ObjectType({ description: 'What became of one dead letter.' })
export class SettledDeadLetter {
  @Field(() => DeadLetter, { description: 'The letter as it is now.' })
  deadLetter!: DeadLetter;

  @Field(() => DeadLetterOutcome, { description: 'What became of it.' })
  outcome!: string;

  @Field(() => String, { nullable: true, description: 'More, for people: why it died again, or who was faster.' })
  detail!: string | null;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Dry run of a replay: whether its consumer would understand the message today; null where that is not known.',
  })
  understood!: boolean | null;

  static of({ letter, outcome, detail, isUnderstood }: SettledLetter): SettledDeadLetter {
    const deadLetter = DeadLetter.of(letter);
    return Object.assign(new SettledDeadLetter(), {
      ...{ deadLetter, outcome, detail: detail ?? null, understood: isUnderstood ?? null },
    });
  }
}

@ObjectType({ description: 'What became of the dead letters that were asked for, oldest first.' })
export class DeadLettersSettled {
  @Field(() => Boolean, { description: 'True when nothing was done, only said.' })
  dryRun!: boolean;

  @Field(() => [SettledDeadLetter], { description: 'Letter by letter.' })
  letters!: SettledDeadLetter[];

  @Field(() => Boolean, { description: 'With a filter: whether more fit.' })
  hasMore!: boolean;

  @Field(() => String, { nullable: true, description: 'Give it as `after` to go on; null when there were none.' })
  endCursor!: string | null;
}

@ObjectType({ implements: ErrorResult, description: 'There is no such dead letter; nothing was changed.' })
export class UnknownDeadLetterError extends ErrorResult {}

export const SettleDeadLettersResultUnion = createUnionType({
  name: 'SettleDeadLettersResult',
  description: 'What became of the dead letters, or why nothing was done.',
  types: () => [DeadLettersSettled, ValidationError, UnknownDeadLetterError] as const,
});

@ObjectType({ description: 'A dead letter in a list.' })
export class DeadLetterEdge extends Edge(DeadLetter) {}

@ObjectType({ description: 'A page of dead letters, newest first.' })
export class DeadLetterConnection extends Connection(DeadLetter, DeadLetterEdge) {}

/** Outcomes of the use cases in the words of the schema. */
export function toSettleResult(result: SettleResult): DeadLettersSettled | ValidationError | UnknownDeadLetterError {
  switch (result.type) {
    case 'done': {
      const { dryRun, hasMore, endCursor } = result;
      const letters = result.letters.map((letter) => SettledDeadLetter.of(letter));
      return Object.assign(new DeadLettersSettled(), { dryRun, letters, hasMore, endCursor });
    }
    case 'invalid':
      return ValidationError.of(result.fields);
    case 'unknown-dead-letter': {
      const message = `There is no dead letter ${JSON.stringify(result.id.slice(0, 50))}; nothing was done.`;
      return Object.assign(new UnknownDeadLetterError(), { code: ErrorCode.UNKNOWN_DEAD_LETTER, message });
    }
    default:
      return result satisfies never;
  }
}
