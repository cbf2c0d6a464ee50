import { Metadata, type ServiceError, status as statusCodes } from '@grpc/grpc-js';

import { GrpcRefusal, invalidArgument, type GrpcStatus } from '../grpc';
import { AccessDenied } from '../identity';
import { Unavailable, type Logger } from '../observability';
import { readDatabaseFault } from './databaseFaults';
import { fitForHeaders } from './grpcBudget';
import { detailsOf } from './grpcDetails';
import { RateLimited } from './rateLimits';
import { Refusal } from './requestBody';
import { maskedMessage } from './respond';

/** What the caller is told of anything that was thrown; faults of ours are logged whole, and masked. */
export function statusOf(error: unknown, requestId: string, log: Logger): Partial<ServiceError> {
  if (error instanceof GrpcRefusal) return told(error, requestId, error.more.retryAfterSeconds);
  if (error instanceof AccessDenied) {
    const status = error.code === 'FORBIDDEN' ? 'PERMISSION_DENIED' : 'UNAUTHENTICATED';
    return told(new GrpcRefusal(status, error.code, error.message), requestId);
  }
  if (error instanceof RateLimited) {
    return told(new GrpcRefusal('RESOURCE_EXHAUSTED', 'RATE_LIMITED', error.message), requestId, error.retryAfterSeconds);
  }
  if (error instanceof Refusal) {
    const { field } = error.problem.details ?? {};
    const path = typeof field === 'string' ? field : '';
    return told(invalidArgument([{ path, code: error.problem.code, message: error.message }]), requestId);
  }
  const fault = error instanceof Unavailable ? error : readDatabaseFault(error);
  if (fault instanceof Unavailable) {
    log.warn({ err: error, requestId }, 'A gRPC call was refused: something is down.');
    const refusal = new GrpcRefusal('UNAVAILABLE', 'SERVICE_UNAVAILABLE', fault.message);
    return told(refusal, requestId, fault.retryAfterSeconds);
  }
  if (fault) return told(invalidArgument([{ path: fault.field ?? '', code: 'invalid', message: fault.message }]), requestId);
  log.error({ err: error, requestId }, 'A gRPC call failed inside.');
  return told(new GrpcRefusal('INTERNAL', 'INTERNAL', maskedMessage(requestId)), requestId);
}

function told(whole: GrpcRefusal, requestId: string, retryAfterSeconds?: number): Partial<ServiceError> {
  const refusal = fitForHeaders(whole);
  const code = codes[refusal.status];
  const metadata = new Metadata();
  metadata.set('x-request-id', requestId);
  metadata.set('grpc-status-details-bin', detailsOf(refusal, { code, requestId, retryAfterSeconds }));
  return { code, details: refusal.message, metadata };
}

const codes: Record<GrpcStatus, number> = {
  UNAUTHENTICATED: statusCodes.UNAUTHENTICATED,
  PERMISSION_DENIED: statusCodes.PERMISSION_DENIED,
  INVALID_ARGUMENT: statusCodes.INVALID_ARGUMENT,
  NOT_FOUND: statusCodes.NOT_FOUND,
  ALREADY_EXISTS: statusCodes.ALREADY_EXISTS,
  FAILED_PRECONDITION: statusCodes.FAILED_PRECONDITION,
  ABORTED: statusCodes.ABORTED,
  RESOURCE_EXHAUSTED: statusCodes.RESOURCE_EXHAUSTED,
  UNAVAILABLE: statusCodes.UNAVAILABLE,
  DEADLINE_EXCEEDED: statusCodes.DEADLINE_EXCEEDED,
  INTERNAL: statusCodes.INTERNAL,
};
