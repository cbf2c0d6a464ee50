import { Root, type IMapField, type INamespace, type Type } from 'protobufjs';

import { type GrpcRefusal } from '../grpc';

/**
 * The trailer `grpc-status-details-bin` in gRPC's richer error model, which clients of every language have types for: a
 * google.rpc.Status with ErrorInfo (the code of the other doors), RequestInfo, and where they apply BadRequest,
 * PreconditionFailure and RetryInfo.
 */
export function detailsOf(
  { code: reason, message, more }: GrpcRefusal,
  { code, requestId, retryAfterSeconds }: { code: number; requestId: string; retryAfterSeconds?: number },
): Buffer {
  const { fields = [], violations = [], facts = {} } = more;
  const fieldViolations = fields.map((fault) => ({ field: fault.path, description: fault.message, reason: fault.code }));
  const details = [
    pack('ErrorInfo', { reason, domain: 'holdfast', metadata: facts }),
    pack('RequestInfo', { requestId }),
    ...(fields.length > 0 ? [pack('BadRequest', { fieldViolations })] : []),
    ...(violations.length > 0 ? [pack('PreconditionFailure', { violations })] : []),
    ...(retryAfterSeconds === undefined ? [] : [pack('RetryInfo', { retryDelay: { seconds: retryAfterSeconds } })]),
  ];
  return encode(typeOf('Status'), { code, message, details });
}

/** The details of a status, each under the name of its type: the reverse, for clients of ours. */
export function readDetails(bytes: Buffer): Record<string, Record<string, unknown>> {
  const status = typeOf('Status').toObject(typeOf('Status').decode(bytes)) as {
    details?: { typeUrl: string; value: Uint8Array }[];
  };
  return Object.fromEntries(
    (status.details ?? []).map(({ typeUrl, value }) => {
      const name = typeUrl.split('.').at(-1)!;
      return [name, typeOf(name).toObject(typeOf(name).decode(value), { longs: Number, defaults: true })];
    }),
  );
}

function pack(name: string, message: object) {
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value: encode(typeOf(name), message) };
}

function encode(type: Type, message: object): Buffer {
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

function typeOf(name: string): Type {
  return root.lookupType(`google.rpc.${name}`);
}

/** Field numbers of the public google.rpc types, as far as they are used here. */
const rpc: INamespace['nested'] = {
  Any: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
  Duration: { fields: { seconds: { type: 'int64', id: 1 }, nanos: { type: 'int32', id: 2 } } },
  Status: {
    fields: {
      ...{ code: { type: 'int32', id: 1 }, message: { type: 'string', id: 2 } },
      details: { rule: 'repeated', type: 'Any', id: 3 },
    },
  },
  ErrorInfo: {
    fields: {
      ...{ reason: { type: 'string', id: 1 }, domain: { type: 'string', id: 2 } },
      metadata: { keyType: 'string', type: 'string', id: 3 } as IMapField,
    },
  },
  RequestInfo: { fields: { requestId: { type: 'string', id: 1 } } },
  BadRequest: {
    fields: { fieldViolations: { rule: 'repeated', type: 'FieldViolation', id: 1 } },
    nested: { FieldViolation: { fields: texts('field', 'description', 'reason') } },
  },
  PreconditionFailure: {
    fields: { violations: { rule: 'repeated', type: 'Violation', id: 1 } },
    nested: { Violation: { fields: texts('type', 'subject', 'description') } },
  },
  RetryInfo: { fields: { retryDelay: { type: 'Duration', id: 1 } } },
};

/** Fields of text, numbered from 1. */
function texts(...names: string[]) {
  return Object.fromEntries(names.map((name, index) => [name, { type: 'string', id: index + 1 }]));
}

const root = Root.fromJSON({ nested: { google: { nested: { rpc: { nested: rpc } } } } });
