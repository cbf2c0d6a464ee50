import { Ending, exitCodes } from '../exit';
import { type Client } from './client';
import { type PlannedOrder } from './orderStream';

/** Enough for all that one customer orders. */
const WEALTH = 1_000_000_000;
/** Enough for a few units: a later order of the same customer is declined. */
const POVERTY = 10_000;

/**
 * Pays in for every customer who will pay by balance; every fourth is too poor for most of it. The reference is the run's, so that
 * a deposit whose answer got lost is made once.
 */
export async function payIn(
  client: Client,
  run: string,
  stream: PlannedOrder[],
  customerOf: (customer: number) => string,
): Promise<void> {
  const payers = [...new Set(stream.filter(({ paid }) => paid).map(({ customer }) => customer))];
  const work = async () => {
    for (let customer = payers.pop(); customer !== undefined; customer = payers.pop()) {
      const amount = customer % 4 === 3 ? POVERTY : WEALTH;
      await deposit(client, { customerId: customerOf(customer), amount, reference: run });
    }
  };
  await Promise.all(Array.from({ length: 16 }, work));
}

async function deposit(client: Client, input: { customerId: string; amount: number; reference: string }): Promise<void> {
  const { deposit: result } = await client.ask<{ deposit: { code?: string; message?: string } }>(paying, { input });
  if (result.code !== undefined)
    throw new Ending(exitCodes.failed, `Nothing could be paid in for ${input.customerId}: ${result.message}`);
}

const paying = `mutation ($input: DepositInput!) {
  deposit(input: $input) { ... on Account { customerId } ... on ErrorResult { code message } }
}`;
