/** The door of the operations room, what an operator does by hand: what the wiring needs, nothing more. */
export { createOperations, type OperationsContext } from './context';
export { DeadLetterResolver } from './resolvers';
