/** The door of the operations room, what an operator does by hand: what the wiring needs, nothing more. */
export { createOperations, type OperationsContext } from './context';
export { EventResolver } from './eventResolver';
export { type EventSources } from './followEvents';
export { DeadLetterResolver } from './resolvers';
