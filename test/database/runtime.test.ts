import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readRuntime, writeRuntime } from '../../src/database';

let dataDir: string;
beforeEach(() => (dataDir = mkdtempSync(join(tmpdir(), 'holdfast-runtime-'))));
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const databaseUrl = 'postgresql://holdfast:secret@127.0.0.1:5433/holdfast';

describe('the runtime file', () => {
  it('tells what was written last, and by whom, and nobody else can read it', async () => {
    await writeRuntime(dataDir, { databaseUrl });
    await writeRuntime(dataDir, { databaseUrl, gatewayPort: 4000 });
    expect(await readRuntime(dataDir)).toEqual({ pid: process.pid, databaseUrl, gatewayPort: 4000 });
    expect(statSync(join(dataDir, 'runtime.json')).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['the process that wrote it is gone', { pid: 2 ** 30 }],
    ['its pid now belongs to another process', { birth: 'another boot/1' }],
  ])('tells nothing when %s', async (_, change) => {
    await writeRuntime(dataDir, { databaseUrl });
    const path = join(dataDir, 'runtime.json');
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...change }));
    expect(await readRuntime(dataDir)).toBeUndefined();
  });

  it('tells nothing when there is none, or it is rubbish', async () => {
    expect(await readRuntime(dataDir)).toBeUndefined();
    for (const rubbish of ['', '{', 'null', '7', '{"pid":"x"}']) {
      writeFileSync(join(dataDir, 'runtime.json'), rubbish);
      expect(await readRuntime(dataDir)).toBeUndefined();
    }
  });
});
