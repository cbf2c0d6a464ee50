import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';

import { isLimit, limitsTable, settingsThatLimit, withLimitsTable } from '../scripts/limitsTable';
import { configTable, envExample, withConfigTable } from '../scripts/writeEnvExample';
import { ConfigError, configFields, readConfig } from '../src/config';

const read = (file: string) => readFileSync(join(__dirname, '..', file), 'utf8');

it('has a default for everything that needs one', () => {
  expect(readConfig({})).toMatchObject({ PORT: 4000, HOLDFAST_DATA: '.holdfast', ORDER_DEADLINE_SECONDS: 600 });
});

it('takes an empty value for none, as compose files give it', () => {
  const config = readConfig({ DATABASE_URL: '', PORT: '' });
  expect([config.PORT, config.DATABASE_URL]).toEqual([4000, undefined]);
});

it('tells all problems at once, each by its name', () => {
  const wrong = { PORT: '70000', DATABASE_URL: 'mysql://x', CURRENCY: 'euro', COMMIT_BATCH_MAX: '0' };
  const problems = () => readConfig(wrong);
  expect(problems).toThrow(ConfigError);
  for (const name of Object.keys(wrong)) expect(problems).toThrow(name);
});

it.each([
  ['amqp://u:p@one:5672/shop, amqps://u:p@two/shop,amqp://u:a,b@three/shop', undefined],
  ['amqp://u:hunter2@one/shop,amqp://u:hunter2@two/other', 'different virtual hosts'],
  ['amqp://u:hunter2@one,two', 'comma'],
  ['amqp://u:hunter2@one:5672,two:5672', 'must be a URL'],
  ['http://one,amqp://u:hunter2@two', 'begins with amqp://'],
  ['', undefined],
])('takes the nodes of a RabbitMQ cluster as a list: %s', (RABBITMQ_URL, problem) => {
  const reading = () => readConfig({ RABBITMQ_URL, ALLOW_PLAINTEXT: 'one,three' });
  if (problem === undefined) return expect(reading).not.toThrow();
  expect(reading).toThrow(problem);
  expect(reading).not.toThrow('hunter2');
});

const long = 'a-secret-of-more-than-32-characters-for-tests';
it.each<[Record<string, string>, string]>([
  [{ AUTH_SECRET: 'short' }, 'AUTH_SECRET: must be at least 32'],
  [{ AUTH_SECRET: long, AUTH_JWKS_URL: 'https://id/jwks', AUTH_ISSUER: 'i', AUTH_AUDIENCE: 'a' }, 'AUTH_SECRET: give this or'],
  [{ AUTH_SECRET: long, AUTH_ALGORITHM: 'RS256' }, 'AUTH_ALGORITHM: must be HS256'],
  [{ AUTH_JWKS_URL: 'https://id/jwks' }, 'AUTH_ISSUER and AUTH_AUDIENCE'],
  [{ AUTH_JWKS_URL: 'https://id/jwks', AUTH_ISSUER: 'i', AUTH_AUDIENCE: 'a', AUTH_ALGORITHM: 'HS256' }, 'such as RS256'],
  [{ AUTH_JWKS_URL: 'http://id.example/jwks', AUTH_ISSUER: 'i', AUTH_AUDIENCE: 'a' }, 'AUTH_JWKS_URL: must be a URL'],
])('refuses settings for tokens that contradict each other: %j', (environment, problem) => {
  expect(() => readConfig(environment)).toThrow(problem);
});

it('describes every setting', () => {
  expect(configFields().filter((field) => field.meaning === '')).toEqual([]);
});

it('.env.example and the table of the README are made from the schema: npm run env (S1.15)', () => {
  expect(read('.env.example')).toBe(envExample());
  expect(read('README.md')).toBe(withConfigTable(read('README.md')));
  expect(read('README.md')).toContain(configTable());
});

describe('a file for an environment (S2.19)', () => {
  it('.env.example copied as it is changes nothing', () => {
    expect(readConfig(parseEnv(read('.env.example')) as Record<string, string>)).toEqual(readConfig({}));
  });

  it('is read where it is named, and what the environment says stays', () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-environment-'));
    const file = join(folder, '.env.staging');
    writeFileSync(
      file,
      read('.env.example')
        .replace(/^PORT=.*$/m, 'PORT=of staging')
        .replace(/^CURRENCY=.*$/m, 'CURRENCY=kronor'),
    );
    const program = [join(__dirname, 'support', 'runTypeScript.cjs'), join(__dirname, '..', 'src', 'main.ts')];
    const { PATH, HOME } = process.env;
    const env = { PATH, HOME, CURRENCY: 'SEK' };
    const { status, stderr } = spawnSync(process.execPath, [`--env-file=${file}`, ...program], { env, encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    expect({ status, stderr }).toEqual({ status: 64, stderr: expect.stringContaining('PORT: ') as string });
    expect(stderr).not.toContain('CURRENCY');
  });
});

it('docs/limits.md has every limit in one table, made from the schema: npm run env', () => {
  expect(read('docs/limits.md')).toBe(withLimitsTable(read('docs/limits.md')));
  expect(read('docs/limits.md')).toContain(limitsTable());
  expect(
    configFields()
      .filter(({ name }) => isLimit(name))
      .map(({ name }) => name),
  ).toEqual(settingsThatLimit());
});
