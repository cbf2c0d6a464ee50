import { type z } from 'zod';

import { inputRefusal, type FieldFault } from '../contracts';
import { type Access } from '../identity';
import { type RequestContext } from '../observability';

/** One address with one method: what it takes, what it answers, and how. The gateway serves it, and describes it from this. */
export interface Endpoint<Parameters = object, Body = unknown> {
  method: 'GET' | 'POST' | 'PATCH';
  /** With parameters in braces, as OpenAPI writes them: `/orders/{id}`. */
  path: string;
  /** The name that generated clients call it by. */
  operationId: string;
  /** One line for the list of addresses. */
  summary: string;
  description?: string;
  /** Who may use it. */
  access: Access;
  /** And who without a body, where that has a meaning of its own. */
  accessWithoutBody?: Access;
  /** Those that stand in `path` are taken from it, the others from the query. */
  parameters?: z.ZodType<Parameters> & { shape: Record<string, z.ZodType> };
  /** `required: false`: a request without a body has a meaning of its own. None is read when this is left out. */
  body?: { schema: z.ZodType<Body>; required: boolean; takesIdempotencyKey?: boolean };
  /** Every successful answer by its status. */
  answers: Record<number, { description: string; schema: z.ZodType; headers?: Record<string, string> }>;
  /** Refusals of its own by their status, beside those that any address may answer with. */
  refusals: Record<number, string>;
  /** Calls the use case and maps its outcome. Throws Refused for what the use case refuses. */
  answer(request: RestRequest<Parameters, Body>): Promise<RestAnswer>;
}

/** What came in, checked. */
export interface RestRequest<Parameters, Body> {
  parameters: Parameters;
  body: Body | undefined;
  context: RequestContext;
}

export interface RestAnswer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** An expected refusal: answered as it stands, and not logged as a fault. */
export class Refused extends Error {
  override name = 'Refused';

  constructor(
    readonly status: number,
    /** To decide by; the message is for people and may change. */
    readonly code: string,
    message: string,
    readonly more: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** 422 for an input that breaks a rule, with every fault by its path. */
export function refusedInput(fields: FieldFault[]): Refused {
  return new Refused(422, 'VALIDATION_FAILED', inputRefusal(fields), { fields });
}
