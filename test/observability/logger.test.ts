import { createLogger } from '../../src/observability/logger';
import { redactUrl } from '../../src/observability/redact';

describe('the logger', () => {
  function recorded() {
    const lines: string[] = [];
    const log = createLogger({ level: 'info', name: 'orders', destination: { write: (line: string) => void lines.push(line) } });
    return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
  }

  it('writes JSON lines with level, name, time and message (S1.14)', () => {
    const { log, last } = recorded();
    log.info({ orderId: 'ORD-1' }, 'confirmed');
    expect(last()).toMatchObject({ level: 'info', name: 'orders', orderId: 'ORD-1', msg: 'confirmed' });
    expect(last()['time']).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it('writes no planted secret, wherever it hides', () => {
    const { log, lines } = recorded();
    const secret = 'hunter2';
    log.info({ url: `amqp://shop:${secret}@rabbit:5672/%2f` }, `connecting to postgresql://shop:${secret}@db/holdfast`);
    log.error({ err: new Error(`connect failed: amqp://shop:p@ss:/"${secret}@rabbit`) }, 'failed');
    log.info({ password: secret, config: { token: secret, nested: { secret } }, headers: { authorization: secret } }, 'started');
    log.info({ list: [`redis://:${secret}@cache`] }, `?password=${secret}&x=1 https://x/?sslpassword=${secret}`);
    expect(lines.join('')).not.toContain(secret);
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });
});

describe('redactUrl', () => {
  it.each([
    ['postgresql://shop:secret@db:5432/holdfast?schema=orders', 'postgresql://shop:***@db:5432/holdfast?schema=orders'],
    ['amqp://shop:a@b:c/d@rabbit', 'amqp://shop:***@rabbit'],
    ['amqp://u:a@b@one:5672/v,amqp://u:c,d@two/v refused', 'amqp://u:***@one:5672/v,amqp://u:***@two/v refused'],
    ['amqp://u:a,amqp://b:c@host', 'amqp://u:***@host'],
    ['http://localhost:4000/graphql', 'http://localhost:4000/graphql'],
    ['a@b.example and http://localhost:4000', 'a@b.example and http://localhost:4000'],
    ['amqp://rabbit:5672 refused shop@rabbit', 'amqp://rabbit:5672 refused shop@rabbit'],
  ])('%s', (text, redacted) => expect(redactUrl(text)).toBe(redacted));

  it('takes no longer than a moment over a hostile line', () => {
    const startedAtMs = performance.now();
    redactUrl('://a:'.repeat(50_000));
    expect(performance.now() - startedAtMs).toBeLessThan(2_000);
  });
});
