import { type CounterProduct, type Pick } from './counter';

/** Asks a question and gives the answer; undefined when the input is at its end. */
export type Ask = (question: string) => Promise<string | undefined>;

/**
 * What somebody at the terminal wants: product after product, until 0 or the end of the input. Whatever is no product of the list
 * or no quantity above 0 is asked again, with what is wrong.
 */
export async function askForPicks(
  products: CounterProduct[],
  ask: Ask,
  say: (line: string) => void,
  quantityMax: number,
): Promise<Pick[]> {
  const picks: Pick[] = [];
  for (;;) {
    const number = await askForNumber(`Product (1 to ${products.length}, 0 to finish): `, 0, products.length, ask, say);
    if (number === undefined || number === 0) return picks;
    const product = products[number - 1]!;
    const quantity = await askForNumber(`How many ${product.name}: `, 1, quantityMax, ask, say);
    if (quantity === undefined) return picks;
    picks.push({ product, quantity });
    say(`  ${quantity} × ${product.name}`);
  }
}

async function askForNumber(
  question: string,
  min: number,
  max: number,
  ask: Ask,
  say: (line: string) => void,
): Promise<number | undefined> {
  for (;;) {
    const answer = (await ask(question))?.trim();
    if (answer === undefined) return undefined;
    if (/^\d{1,9}$/.test(answer) && Number(answer) >= min && Number(answer) <= max) return Number(answer);
    say(`  ${JSON.stringify(answer.slice(0, 40))} is no whole number from ${min} to ${max}.`);
  }
}
