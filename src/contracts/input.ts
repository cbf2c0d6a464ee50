import { type z } from 'zod';

/** One thing that is wrong with an input. */
export interface FieldFault {
  /** Where in the input, such as `items.0.quantity`; empty for the whole of it. */
  path: string;
  /** The kind of fault, such as `too_small`. */
  code: string;
  /** The fault, for people. */
  message: string;
}

export function faultsOf(error: z.ZodError): FieldFault[] {
  return error.issues.map(({ path, code, message }) => ({ path: shown(path.join('.')), code, message: shown(message, 500) }));
}

/** A text that somebody else chose, as it may stand in a sentence of ours: whole where it is no longer than any id, else its beginning. */
export function shown(given: string, lengthMax = 200): string {
  return given.length <= lengthMax ? given : `${given.slice(0, lengthMax / 2).toWellFormed()}…`;
}

/** The sentence of a refused input, the same at every door: it names the first few faults and counts the others. */
export function inputRefusal(faults: FieldFault[]): string {
  const named = faults.slice(0, 3).map((fault) => `${fault.path || 'input'}: ${fault.message}`);
  const more = faults.length > named.length ? `; and ${faults.length - named.length} more` : '';
  return `The input was refused. ${named.join('; ')}${more}.`;
}
