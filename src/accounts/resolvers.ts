import { Arg, Args, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';

import { Allow, cursorBigInt, PageArgs, pageOf } from '../graphql';
import { ownerOf } from '../identity';
import { type RequestContext } from '../observability';
import { type AccountsContext } from './context';
import { Account, AccountEntry, AccountEntryConnection, DepositInput, DepositResultUnion, toDepositResult } from './schema';

/** The GraphQL door of the accounts context: each field parses, calls a use case and maps its outcome. */
@Resolver(() => Account)
export class AccountResolver {
  constructor(private readonly accounts: AccountsContext) {}

  @Allow('known')
  @Query(() => Account, {
    nullable: true,
    description: "A customer's account; null when nothing was ever paid in for this customer.",
  })
  async account(
    @Arg('customerId', () => String, { description: 'Whose account.' }) customerId: string,
    @Ctx() { caller }: RequestContext,
  ): Promise<Account | null> {
    const view = await this.accounts.account(customerId.replaceAll('\u0000', ''));
    const owner = ownerOf(caller);
    return view && (owner === undefined || owner === view.customerId) ? Account.of(view) : null;
  }

  @Allow('staff')
  @Mutation(() => DepositResultUnion, { description: "Pays money into a customer's account. Repeating it is safe." })
  async deposit(@Arg('input', () => DepositInput, { description: 'How much, for whom, and from where.' }) input: DepositInput) {
    return toDepositResult(await this.accounts.deposit(input));
  }

  @FieldResolver(() => AccountEntryConnection, { description: 'Every change of its balance, newest first.' })
  entries(@Root() { customerId, currency }: Account, @Args(() => PageArgs) page: PageArgs): Promise<AccountEntryConnection> {
    const read = (first: number, after?: string) => this.accounts.entries(customerId, first, cursorBigInt(after));
    return pageOf(
      page,
      read,
      (entry) => String(entry.id),
      (entry) => AccountEntry.of(entry, currency),
    );
  }
}
