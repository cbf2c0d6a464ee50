import { decimalOf, rpcs, type ReplyOf } from '../contracts';
import { answering, type RpcService } from '../messaging';
import { type BalanceCheck, type CheckBalance } from './checkBalance';

/** What accounts answers over the broker, by the use cases that the other doors call. */
export function accountsRpc({ checkBalance }: { checkBalance: CheckBalance }): RpcService[] {
  return [
    answering(rpcs.userCheck, async ({ user_id, amount }) => ({ user_id, ...outcomeOf(await checkBalance(user_id, amount)) })),
  ];
}

function outcomeOf({ account, decline }: BalanceCheck): Omit<ReplyOf<typeof rpcs.userCheck>, 'user_id'> {
  const standing = account ? { balance: account.balance, currency: account.currency } : {};
  if (decline) return { status: 'FAILED', ...standing, code: decline.code, message: decline.reason };
  const { balance, currency } = account!;
  return { status: 'SUCCESS', ...standing, message: `The balance is ${decimalOf(balance, currency)} ${currency}.` };
}
