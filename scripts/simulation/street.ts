import { isPassingFault } from '../../src/database/errors';
import { count } from './coverage';
import { type House } from './house';
import { aProcess, type SimulatedProcess } from './scheduler';
import { type World } from './world';

/** How long a customer waits for an answer. */
const PATIENCE_MS = 6_000;

/** Between the customers and the gateways: requests travel, get lost with the gateway that has them, and are made again. */
export class Street {
  private readonly process: SimulatedProcess = aProcess('customers');

  constructor(private readonly world: World) {}

  /** Has somebody come at a time of their own. */
  visit(who: string, work: () => Promise<void>, over: () => void): void {
    const { scheduler, plan, surprises } = this.world;
    scheduler.at(scheduler.between(0, plan.stormMs * 0.7), this.process, `${who} comes`, () => {
      void work()
        .catch((error: Error) => surprises.push(`${who}: ${error.stack ?? error.message}`))
        .finally(over);
    });
  }

  /** Asks again and again, ever more rarely: customers who hurry would only keep one another waiting. */
  async insist<T>(work: (house: House) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.once(work);
      if (answer !== undefined) return answer;
      count(this.world.coverage.faults, 'retried request');
      await this.aWhile(Math.min(1_000 * 2 ** attempt, 30_000));
    }
  }

  /** One request to any gateway. Undefined when it failed or was not answered: nobody knows then whether it was done. */
  once<T>(work: (house: House) => Promise<T>): Promise<T | undefined> {
    const { scheduler, surprises } = this.world;
    const gateway = this.world.pickUp('gateway');
    return new Promise((resolve) => {
      const answer = (value?: T) => scheduler.at(scheduler.between(0.1, 5), this.process, 'is answered', () => resolve(value));
      scheduler.at(PATIENCE_MS, this.process, 'waits no longer', () => resolve(undefined));
      if (!gateway) return answer();
      const { process, house } = gateway;
      scheduler.at(scheduler.between(0.1, 5), process, 'is asked', () => {
        work(house).then(
          (value) => process.isAlive && answer(value),
          (error: Error) => {
            if (!process.isAlive) return;
            if (!isOfItsTime(error)) surprises.push(`a request failed: ${error.stack ?? error.message}`);
            answer();
          },
        );
      });
    });
  }

  aWhile(mostMs: number): Promise<void> {
    const { scheduler } = this.world;
    return new Promise((resolve) => scheduler.at(scheduler.between(0, mostMs), this.process, 'has waited', resolve));
  }
}

/** A customer may be told that Holdfast cannot now; never that it broke a rule of its own tables, or broke. */
function isOfItsTime(error: Error): boolean {
  return error.name === 'Unavailable' || isPassingFault(error);
}
