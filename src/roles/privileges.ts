import { type RoleName } from './roleNames';

/** Who is let into the database: each role of the program, and the operator's commands (`npm run reconcile` and the like). */
export const databaseUsers = ['gateway', 'orders', 'inventory', 'accounts', 'notifications', 'operations'] as const;
export type DatabaseUser = RoleName | 'operations';

/** The tables of a user, with what it may do to each. */
export function tablesOf(user: DatabaseUser): Record<string, Verbs> {
  const entries = Object.entries(tablePrivileges).map(([table, users]) => [table, users[user] ?? ''] as const);
  return Object.fromEntries(entries.filter(([, verbs]) => verbs !== ''));
}

/** S select, I insert, U update (and lock), D delete. */
export type Verbs = string;

/**
 * What each may do to each table: what its code does, and nothing else. This table is what `npm run grants` gives and what the tests
 * hold the database to, verb by verb.
 *
 * Nobody changes or removes a stock movement, an account entry, an order's history, an answer given to an amendment, or what was done
 * to a dead letter. Only inventory and the operator's repair write stock; the gateway has inventory do it.
 */
export const tablePrivileges: Record<string, Partial<Record<DatabaseUser, Verbs>>> = {
  'orders.orders': { gateway: 'SIU', orders: 'SIU', operations: 'S' },
  'orders.order_items': { gateway: 'SIU', orders: 'SIUD', operations: 'S' },
  'orders.order_history': { gateway: 'SI', orders: 'SI', operations: 'S' },
  'orders.closings': { gateway: 'SI', orders: 'SIUD', operations: 'S' },
  'orders.refunds': { gateway: 'SI', orders: 'SIUD', operations: 'S' },
  'orders.amendments': { gateway: 'SIU', orders: 'SIU', operations: 'S' },
  'orders.outbox': { gateway: 'SIUD', orders: 'SIUD', operations: 'S' },

  'inventory.products': { gateway: 'S', orders: 'S', inventory: 'SIU', operations: 'S' },
  'inventory.stock': { gateway: 'S', inventory: 'SIU', operations: 'SU' },
  'inventory.movements': { gateway: 'S', inventory: 'SI', operations: 'SI' },
  'inventory.reservations': { inventory: 'SIU', operations: 'S' },
  'inventory.reservation_lines': { inventory: 'SIUD', operations: 'S' },
  'inventory.amendments': { inventory: 'SI', operations: 'S' },
  'inventory.outbox': { inventory: 'SIUD', operations: 'S' },

  'accounts.accounts': { gateway: 'SIU', accounts: 'SIU', operations: 'S' },
  'accounts.entries': { gateway: 'SI', accounts: 'SI', operations: 'S' },
  'accounts.payments': { accounts: 'SIU', operations: 'S' },
  'accounts.outbox': { accounts: 'SIUD', operations: 'S' },

  'operations.dead_letters': {
    ...{ gateway: 'SU', orders: 'SIU', inventory: 'SIU', accounts: 'SIU', notifications: 'SIU', operations: 'S' },
  },
  'operations.dead_letter_actions': { gateway: 'SI', operations: 'S' },

  'notifications.subscriptions': { gateway: 'SIU', notifications: 'SUD', operations: 'S' },
  'notifications.deliveries': { gateway: 'S', notifications: 'SIUD', operations: 'S' },
  'notifications.delivery_attempts': { gateway: 'S', notifications: 'SI', operations: 'S' },
  'notifications.outbox': { notifications: 'SIUD', operations: 'S' },

  'gateway.rate_levels': { gateway: 'SIUD' },

  'public._prisma_migrations': { gateway: 'S', orders: 'S', inventory: 'S', accounts: 'S', notifications: 'S', operations: 'S' },
};
