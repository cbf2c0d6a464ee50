import { type z } from 'zod';

/** The input breaks a rule; one entry per problem. */
export interface Invalid {
  type: 'invalid';
  fields: { path: string; code: string; message: string }[];
}

export function invalid(error: z.ZodError): Invalid {
  return { type: 'invalid', fields: error.issues.map(({ path, code, message }) => ({ path: path.join('.'), code, message })) };
}
