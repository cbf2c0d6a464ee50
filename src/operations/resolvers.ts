import DataLoader from 'dataloader';
import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';

import { Allow, PageArgs, pageOf } from '../graphql';
import { type Caller } from '../identity';
import { type RequestContext } from '../observability';
import { type OperationsContext } from './context';
import {
  DeadLetter,
  DeadLetterAction,
  DeadLetterBody,
  DeadLetterConnection,
  DeadLetterCount,
  DeadLetterFilterInput,
  DeadLetterState,
  SettleDeadLettersInput,
  SettleDeadLettersResultUnion,
  toSettleResult,
} from './schema';

/** The GraphQL door of the operations room: each field parses, calls a use case and maps its outcome. */
@Resolver(() => DeadLetter)
export class DeadLetterResolver {
  constructor(private readonly operations: OperationsContext) {}

  @Allow('operators')
  @Query(() => DeadLetter, { nullable: true, description: 'A dead letter by its id; null when there is none.' })
  async deadLetter(@Arg('id', () => ID, { description: 'The id of the dead letter.' }) id: string): Promise<DeadLetter | null> {
    const [view] = await this.operations.find([id]);
    return view ? DeadLetter.of(view) : null;
  }

  @Allow('operators')
  @Query(() => DeadLetterConnection, { description: 'Dead letters, newest first.' })
  deadLetters(
    @Args(() => PageArgs) page: PageArgs,
    @Arg('filter', () => DeadLetterFilterInput, { nullable: true, description: 'Only those that fit.' })
    filter?: DeadLetterFilterInput | null,
    @Arg('state', () => DeadLetterState, { nullable: true, description: 'Only in this state.' }) state?: DeadLetterState | null,
  ): Promise<DeadLetterConnection> {
    const wanted = { ...withoutNul(filter), state };
    return pageOf(
      page,
      (first, after) => this.operations.deadLetters(wanted, first, after),
      (letter) => letter.id,
      (letter) => DeadLetter.of(letter),
    );
  }

  @Allow('operators')
  @Query(() => [DeadLetterCount], { description: 'How many dead letters there are, by queue.' })
  deadLetterCounts(): Promise<DeadLetterCount[]> {
    return this.operations.counts();
  }

  @Allow('operators')
  @Mutation(() => SettleDeadLettersResultUnion, {
    description:
      'Publishes the messages of dead letters once more, each to the queue where it died. Repeating it is safe: what was replayed is left alone.',
  })
  async replayDeadLetters(
    @Arg('input', () => SettleDeadLettersInput, { description: 'Which, by whom and why.' }) input: SettleDeadLettersInput,
    @Ctx() { caller }: RequestContext,
  ) {
    return toSettleResult(await this.operations.replay(input, nameOf(caller)));
  }

  @Allow('operators')
  @Mutation(() => SettleDeadLettersResultUnion, {
    description: 'Puts dead letters aside for good; they can still be read. Repeating it is safe.',
  })
  async discardDeadLetters(
    @Arg('input', () => SettleDeadLettersInput, { description: 'Which, by whom and why.' }) input: SettleDeadLettersInput,
    @Ctx() { caller }: RequestContext,
  ) {
    return toSettleResult(await this.operations.discard(input, nameOf(caller)));
  }

  @FieldResolver(() => DeadLetterBody, {
    nullable: true,
    description: 'The body, whole. Null in a list whose bodies are together over 16 MiB: ask for that letter alone.',
  })
  body(@Root() letter: DeadLetter, @Ctx() context: RequestContext): Promise<DeadLetterBody | null> {
    return this.loadersOf(context).bodies.load(letter);
  }

  @FieldResolver(() => [DeadLetterAction], { description: 'What was done about it, by whom and why, in its order.' })
  actions(@Root() letter: DeadLetter, @Ctx() context: RequestContext): Promise<DeadLetterAction[]> {
    return this.loadersOf(context).actions.load(letter.id);
  }

  /** One query for all letters of a request, however many it lists. */
  private loadersOf(context: RequestContext) {
    let loaders = this.loaders.get(context);
    if (!loaders) {
      const { operations } = this;
      loaders = {
        bodies: new DataLoader(async (letters: readonly DeadLetter[]) => {
          const bodies = await operations.bodies(letters);
          return letters.map(({ id }) => (bodies.has(id) ? DeadLetterBody.of(bodies.get(id)!) : null));
        }),
        actions: new DataLoader(async (ids: readonly string[]) => {
          const actions = await operations.actions([...ids]);
          return ids.map((id) => actions.get(id) ?? []);
        }),
      };
      this.loaders.set(context, loaders);
    }
    return loaders;
  }

  private readonly loaders = new WeakMap<RequestContext, Loaders>();
}

interface Loaders {
  bodies: DataLoader<DeadLetter, DeadLetterBody | null>;
  actions: DataLoader<string, DeadLetterAction[]>;
}

function nameOf(caller: Caller | undefined): string | undefined {
  return caller?.role === 'customer' ? caller.customerId : caller?.name;
}

/** NUL stands in no kept text, and the database refuses it. */
function withoutNul(filter: DeadLetterFilterInput | null | undefined): DeadLetterFilterInput {
  const entries = Object.entries(filter ?? {}) as [string, string | null | undefined][];
  return Object.fromEntries(entries.map(([name, value]) => [name, value?.replaceAll('\u0000', '')]));
}
