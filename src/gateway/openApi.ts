import { z } from 'zod';

import { type Endpoint } from '../rest';
import { securityOf } from './callers';

/** The OpenAPI 3.1 document of these addresses, made from what checks their requests, so that the two cannot drift. */
export function openApiDocument(endpoints: readonly Endpoint[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const endpoint of endpoints) (paths[endpoint.path] ??= {})[endpoint.method.toLowerCase()] = operationOf(endpoint);
  return {
    openapi: '3.1.0',
    info: { title: 'Holdfast', version, description: 'Orders and stock over plain HTTP. GraphQL, at /graphql, can do more.' },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: { Problem: jsonSchema(problem, 'output') },
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}

function operationOf(endpoint: Endpoint): object {
  const { operationId, summary, description, parameters, path, body, answers, refusals } = endpoint;
  const described = Object.entries(parameters?.shape ?? {}).map(([name, schema]) => parameterOf(name, schema, path));
  if (body?.takesIdempotencyKey) described.push(idempotencyKey);
  return {
    ...{ operationId, summary, description, security: securityOf(endpoint.access, endpoint.accessWithoutBody) },
    parameters: described,
    ...(body && { requestBody: { required: body.required, content: json(jsonSchema(body.schema, 'input')) } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, responseOf(answer)])),
      ...Object.fromEntries(Object.entries({ ...common(endpoint), ...refusals }).map(refusalOf)),
    },
  };
}

function parameterOf(name: string, schema: z.ZodType, path: string): object {
  const isInPath = path.includes(`{${name}}`);
  const { description, ...rest } = jsonSchema(schema, 'input');
  return { name, in: isInPath ? 'path' : 'query', required: isInPath, description, schema: rest };
}

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same key again gets the same order; 1 to 200 visible ASCII characters.',
  schema: { type: 'string', minLength: 1, maxLength: 200 },
};

function responseOf({ description, schema, headers = {} }: Endpoint['answers'][number]): object {
  const described = Object.entries(headers).map(([name, meaning]) => [
    name,
    { description: meaning, schema: { type: 'string' } },
  ]);
  return { description, headers: Object.fromEntries(described) as object, content: json(jsonSchema(schema, 'output')) };
}

/** What any address may answer, with a body or without. */
function common({ access, body }: Endpoint): Record<number, string> {
  const denied: Record<number, string> = access === 'anyone' ? {} : { 403: 'Not for the role of the token.' };
  const unfit = { 400: 'The request cannot be read.', 401: 'A token is missing, or is not good here.' };
  const any = { ...unfit, ...denied, 429: 'Too many requests.', 500: 'A fault of ours.', 503: 'Come back later.' };
  return body ? { ...any, 413: 'The body is too large.', 415: 'The body is not sent as application/json.' } : any;
}

function refusalOf([status, description]: [string, string]) {
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return [status, { description, content }] as const;
}

const problem = z
  .looseObject({
    status: z.int().describe('As in the status line.'),
    title: z.string().describe('The kind of problem.'),
    detail: z.string().describe('What happened and what to do, for people.'),
    code: z.string().describe('What to decide by.'),
    requestId: z.string().describe('Quote it when you report the problem.'),
    fields: z
      .array(z.object({ path: z.string(), code: z.string(), message: z.string() }))
      .optional()
      .describe('What is wrong with the input, fault by fault.'),
  })
  .describe('A refusal or a fault, after RFC 9457.');

function json(schema: object) {
  return { 'application/json': { schema } };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  return { ...z.toJSONSchema(schema, { io }), $schema: undefined };
}
