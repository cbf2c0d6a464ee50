/** The words that every context's part of the schema shares, said once: money, refusals, pages. */
import 'reflect-metadata';

export { accessOf, Allow, guardSchema } from './access';
export { badInput, Connection, cursorBigInt, cursorOf, Edge, pageOf, PAGE_SIZE_MAX, PageArgs, readCursor } from './connection';
export { ErrorCode, ErrorResult, FieldProblem, ValidationError } from './errors';
export { Money } from './money';
export { SafeInt, Timestamp } from './scalars';
export { afterOf, followed, newsCursor, noPubSub, positionsIn, resolverIn, withResolvers } from './subscriptions';
