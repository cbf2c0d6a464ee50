/**
 * The roles a process can play. Embedded is all of them in one process; distributed is one process each, any number of each.
 * They share nothing but the database and the broker.
 */
export const roleNames = ['gateway', 'orders', 'inventory', 'accounts', 'notifications'] as const;
export type RoleName = (typeof roleNames)[number];
