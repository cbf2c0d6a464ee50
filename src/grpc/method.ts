import { inputRefusal, type FieldFault } from '../contracts';
import { type Access } from '../identity';
import { type RequestContext } from '../observability';

/** One method of a service of proto/holdfast/v1, and what it does. Messages are as proto-loader has them: camelCase, enums by name. */
export type GrpcMethod<Request = never> = {
  service: `holdfast.v1.${string}`;
  name: string;
  /** Who may call it. */
  access: Access;
} & (
  | {
      kind: 'unary';
      /** Calls the use case and maps its outcome. Throws GrpcRefusal for what the use case refuses. */
      answer(request: GrpcRequest<Request>): Promise<object>;
    }
  | {
      kind: 'stream';
      /** The answers one by one. The next is asked for when the client has room for it; the stream ends when these do. */
      answers(request: GrpcRequest<Request>): AsyncIterable<object>;
    }
);

/** What came in. Its shape is the schema's; whether its values make sense nobody has asked yet. */
export interface GrpcRequest<Message> {
  message: Message;
  context: RequestContext;
  /** Aborted when nobody waits any more: the client has gone, its deadline or our limit is near (`unary`) or past, or we are stopping. */
  signal: AbortSignal;
}

/** The status codes of gRPC that we answer with ourselves. */
export type GrpcStatus =
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'RESOURCE_EXHAUSTED'
  | 'UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'
  | 'INTERNAL';

/** What stands in the way, such as a line that is short. */
export interface Violation {
  /** The kind, such as INSUFFICIENT_STOCK. */
  type: string;
  /** What it is about, such as `product 7`. */
  subject: string;
  description: string;
}

/** An expected refusal: answered as it stands, and not logged as a fault. */
export class GrpcRefusal extends Error {
  override name = 'GrpcRefusal';

  constructor(
    readonly status: GrpcStatus,
    /** To decide by, the same as at the other doors; the message is for people and may change. */
    readonly code: string,
    message: string,
    readonly more: {
      fields?: FieldFault[];
      violations?: Violation[];
      facts?: Record<string, string>;
      /** When the same call may succeed. */
      retryAfterSeconds?: number;
    } = {},
  ) {
    super(message);
  }
}

/** For an input that breaks a rule, with every fault by its path. */
export function invalidArgument(fields: FieldFault[]): GrpcRefusal {
  return new GrpcRefusal('INVALID_ARGUMENT', 'VALIDATION_FAILED', inputRefusal(fields), { fields });
}
