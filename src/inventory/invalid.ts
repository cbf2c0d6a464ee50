import { type z } from 'zod';

import { faultsOf, type FieldFault } from '../contracts';

/** The input breaks a rule; one entry per fault. */
export interface Invalid {
  type: 'invalid';
  fields: FieldFault[];
}

export function invalid(error: z.ZodError): Invalid {
  return { type: 'invalid', fields: faultsOf(error) };
}
