import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { text } from '../../src/contracts';
import { usageFault } from '../exit';

/** The customer that somebody named; undefined when nobody did. */
export function namedCustomer(given: string | undefined): string | undefined {
  if (given === undefined || text(100).safeParse(given).success) return given;
  throw usageFault('--customer must be an id of 1 to 100 characters.');
}

/** The customer that this data folder stands for: named once, and the same after every restart. */
export async function rememberedCustomer(dataDir: string): Promise<string> {
  const file = join(dataDir, 'customer');
  const known = await readFile(file, 'utf8').catch(() => '');
  if (known.trim() !== '') return known.trim();
  const customerId = `CUST-${randomUUID()}`;
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  await writeFile(file, `${customerId}\n`, { mode: 0o600 });
  return customerId;
}
