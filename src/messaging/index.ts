/** The door of the carriage: what contexts and the wiring use. */
export { Consumer, type ConsumerOptions, type Handler, type Handlers } from './consumer';
export { deadQueue, deathOf, toReplay, type Death, type ReplayedLetter } from './deadLetter';
export { customerKey, followUp, parseMessage, PoisonMessage, type IncomingMessage, type OutgoingMessage } from './message';
export { createOutbox, type Outbox, type Outcome } from './outbox';
export { outboxLag, waitingAggregates, type OutboxSchema } from './outboxRows';
export { Relay } from './relay';
export { notificationsTopology, topology } from './topology';
export type * from './broker';
