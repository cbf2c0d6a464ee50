import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

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
