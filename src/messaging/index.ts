/** The door of the carriage: what contexts and the wiring use. */
export { Consumer, type ConsumerOptions, type Handler, type Handlers } from './consumer';
export { followUp, PoisonMessage, type IncomingMessage, type OutgoingMessage } from './message';
export { createOutbox, outboxLag, waitingAggregates, type Outbox, type Outcome, type OutboxSchema } from './outbox';
export { Relay } from './relay';
export { topology } from './topology';
export type * from './broker';
