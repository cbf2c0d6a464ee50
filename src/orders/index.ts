/** The door of the orders context: what the wiring needs, nothing more. */
export { createOrders, type OrdersContext } from './context';
export { OrderResolver } from './resolvers';
export { type Watchdog } from './watchdog';
