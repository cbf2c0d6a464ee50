import type * as transactionModule from '../../src/database/transaction';
import type * as failpointsModule from '../../src/faults/failpoints';
import type * as orderModule from '../../src/orders/order';
import { substitute } from '../substitute';
import { listener } from './listener';
import { substituteAccountRows } from './rows/accounts';
import { substituteAmendmentRows } from './rows/amendments';
import { substituteClosingRows } from './rows/closings';
import { substituteInventoryRows } from './rows/inventory';
import { substituteOrderRows } from './rows/orders';
import { substituteOutboxRows } from './rows/outbox';
import { activeScheduler } from './virtualTime';

/** Puts the simulation's parts in the place of what would reach out of this process, and listens in. All the rest is the product. */
export function substituteSurroundings(): void {
  substituteOrderRows();
  substituteClosingRows();
  substituteAmendmentRows();
  substituteInventoryRows();
  substituteAccountRows();
  substituteOutboxRows();
  substitute<typeof transactionModule>('src/database/transaction', ({ transaction, retried }) => ({
    transaction: (database, work, options) => transaction(database, work, { random: activeScheduler()?.random, ...options }),
    retried: (attemptOnce, options) => retried(attemptOnce, { random: activeScheduler()?.random, ...options }),
  }));
  substitute<typeof orderModule>('src/orders/order', ({ decide }) => ({
    decide: (order, change) => {
      listener().decides(order.status, change.trigger);
      return decide(order, change);
    },
  }));
  substitute<typeof failpointsModule>('src/faults/failpoints', () => ({
    failpoint: (name) => listener().passes(name),
    failpointAfterSending: (name) => listener().passes(name),
  }));
}
