import { join } from 'node:path';

import { readConfig } from '../../src/config';
import { isThisMachine } from '../../src/tls';
import { startHoldfast } from '../support/holdfastProcess';

const secret = 'hunter2';
const read = (environment: Record<string, string>) => () => readConfig(environment);

it.each(['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '[::1]', '::1', '[::ffff:7f00:1]', '/var/run/postgresql'])(
  '%s is this machine',
  (host) => expect(isThisMachine(host)).toBe(true),
);
it.each(['0.0.0.0', '10.0.0.1', '128.0.0.1', '[::]', 'localhost.example.com', '127.0.0.1.nip.io', 'db', ''])(
  '%s is not',
  (host) => expect(isThisMachine(host)).toBe(false),
);

describe('plain text to another machine', () => {
  it.each([
    [{ DATABASE_URL: `postgresql://u:${secret}@db.example/shop` }, 'DATABASE_URL: would carry its password'],
    [{ DATABASE_URL: `postgresql://u:${secret}@db.example/shop?sslmode=disable` }, 'sslmode=verify-full'],
    [{ DATABASE_URL: `postgresql://u:${secret}@localhost/shop?host=db.example` }, 'to db.example unencrypted'],
    [{ DATABASE_URL: `postgresql://u:${secret}@db.example/shop`, ALLOW_PLAINTEXT: 'other' }, 'ALLOW_PLAINTEXT'],
    [{ RABBITMQ_URL: `amqp://u:${secret}@mq.example` }, 'amqps://'],
    [{ RABBITMQ_URL: `amqp://u:${secret}@localhost,amqp://u:${secret}@mq.example` }, 'to mq.example unencrypted'],
    [{ RABBITMQ_URL: `amqps://u:${secret}@one,amqp://u:${secret}@two` }, 'to two unencrypted'],
  ])('is refused: %j', (environment, words) => {
    expect(read(environment)).toThrow(words);
    expect(read(environment)).not.toThrow(secret);
  });

  it.each<Record<string, string>>([
    { DATABASE_URL: 'postgresql://u:p@db.example/shop?sslmode=verify-full' },
    { DATABASE_URL: 'postgresql://u:p@DB.example/shop', ALLOW_PLAINTEXT: 'mq.example, db.Example' },
    { DATABASE_URL: 'postgresql:///shop?host=/var/run/postgresql&user=u' },
    { RABBITMQ_URL: 'amqps://u:p@mq.example' },
    { RABBITMQ_URL: 'amqp://u:p@mq.example,amqps://u:p@other.example', ALLOW_PLAINTEXT: 'mq.example' },
    { RABBITMQ_URL: 'amqp://u:p@[fd00::1]', ALLOW_PLAINTEXT: 'fd00::1' },
  ])('is let pass where nothing is in the clear, or it was said: %j', (environment) => {
    expect(read(environment)).not.toThrow();
  });

  it('ends the start with exit code 64 and a line for people, without the password', async () => {
    const holdfast = startHoldfast({ DATABASE_URL: `postgresql://u:${secret}@10.1.2.3/shop` }, '--roles', 'gateway');
    expect(await holdfast.ended).toBe(64);
    expect(holdfast.complaints()).toContain('DATABASE_URL: would carry its password and everything else to 10.1.2.3 unencrypted');
    expect(holdfast.complaints() + holdfast.screen()).not.toContain(secret);
  });
});

describe('what only looks safe', () => {
  const here = (parameters: string) => ({ DATABASE_URL: `postgresql://u:${secret}@localhost/shop?${parameters}` });
  it.each([
    [here('sslmode=no-verify'), 'say verify-full'],
    [here('sslmode=require'), 'say verify-full'],
    [here('sslmode=verify-ca'), 'say verify-full'],
    [here('ssl=no-verify'), 'is not understood'],
    [here('uselibpqcompat=true&sslmode=require'), 'is not understood'],
    [here('sslrootcert=/ca.pem'), 'no sslmode=verify-full'],
    [here('sslmode=verify-full&sslrootcert=/none.pem'), 'sslrootcert: /none.pem cannot be read (ENOENT)'],
    [here(`sslmode=verify-full&sslrootcert=${__filename}&sslcert=${__filename}`), 'go together'],
    [here(`sslmode=verify-full&sslrootcert=${join(__dirname, '../../LICENSE')}`), 'is not a PEM file'],
    [{ RABBITMQ_URL: `amqps://u:${secret}@mq?verify=verify_none` }, 'only verify_peer'],
    [{ RABBITMQ_URL: `amqp://u:${secret}@localhost?cacertfile=/ca.pem` }, 'begins with amqp://'],
    [{ RABBITMQ_URL: `amqps://u:${secret}@mq?cacertfile=/none.pem` }, 'cacertfile: /none.pem cannot be read (ENOENT)'],
    [{ NODE_TLS_REJECT_UNAUTHORIZED: '0' }, 'trust whoever answers'],
    [{ TLS_CERT_FILE: '/none.pem' }, 'TLS_CERT_FILE and TLS_KEY_FILE go together'],
    [{ TLS_CERT_FILE: '/none.pem', TLS_KEY_FILE: '/none.key' }, 'TLS_CERT_FILE: /none.pem cannot be read (ENOENT)'],
  ])('is refused: %j', (environment, words) => {
    expect(read(environment)).toThrow(words);
    expect(read(environment)).not.toThrow(secret);
  });
});
