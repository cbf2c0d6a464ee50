/** The door of the orders context: what the wiring needs, nothing more. */
export { createOrders, type OrdersContext } from './context';
export { orderMethods } from './grpc';
export { OrderResolver } from './resolvers';
export { orderEndpoints } from './rest';
export { type Watchdog } from './watchdog';
