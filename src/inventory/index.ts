/** The door of the inventory context: what the wiring and the scripts need, nothing more. */
export { createInventory, type InventoryContext } from './context';
export { deskOver } from './desk';
export { productMethods } from './grpc';
export { reconcile, type Drift, type Reconciliation } from './reconcile';
export { ProductResolver } from './resolvers';
export { productEndpoints } from './rest';
export { seedProducts, type SeedOutcome } from './seedProducts';
