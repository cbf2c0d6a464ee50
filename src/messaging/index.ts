/** The door of the carriage: what contexts and the wiring use. */
export { asyncApiDocument } from './asyncApi';
export { Consumer, type ConsumerOptions, type Doorway } from './consumer';
export { deadQueue, deathOf, toReplay, type Death, type ReplayedLetter } from './deadLetter';
export { type AfterCommit, type Decide, type Decided, type Handler, type Handlers } from './handler';
export { customerKey, followUp, parseMessage, PoisonMessage, type IncomingMessage, type OutgoingMessage } from './message';
export { createOutbox, type AtOnce, type Outbox, type Outcome, type WrittenAtOnce } from './outbox';
export {
  appendingTo,
  outboxDepth,
  outboxLag,
  waitingAggregates,
  type AppendedRow,
  type OutboxRow,
  type OutboxSchema,
} from './outboxRows';
export { Relay } from './relay';
export { RpcClient, RpcRefused } from './rpcClient';
export { answering, RpcServer, type RpcService } from './rpcServer';
export { deskTopology, notificationsTopology, topology } from './topology';
export type * from './broker';
