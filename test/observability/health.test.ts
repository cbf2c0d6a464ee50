import { createHealth } from '../../src/observability/health';

describe('health', () => {
  it('is ready when every check passes', async () => {
    const health = createHealth();
    health.register('broker', () => Promise.resolve({ ok: true, detail: 'connected' }));
    expect(await health.ready()).toEqual({
      status: 'UP',
      checks: [
        { name: 'broker', status: 'UP', data: { detail: 'connected' } },
        { name: 'accepting', status: 'UP', data: { detail: 'accepting work' } },
      ],
    });
  });

  it('is down with a reason, and without a password, when a check throws', async () => {
    const health = createHealth();
    health.register('database', () => {
      throw new Error('no answer from postgresql://shop:secret@db');
    });
    const { status, checks } = await health.ready();
    expect(status).toBe('DOWN');
    expect(checks[0]?.data.detail).toBe('no answer from postgresql://shop:***@db');
  });

  it('is down when a check does not answer in time, and still tells the others', async () => {
    const health = createHealth({ checkLimitMs: 20 });
    health.register('database', () => new Promise(() => {}));
    health.register('broker', () => Promise.resolve({ ok: true, detail: 'connected' }));
    const { checks } = await health.ready();
    expect(checks[0]).toMatchObject({ status: 'DOWN', data: { detail: 'The check of database gave no answer within 20 ms.' } });
    expect(checks[1]).toMatchObject({ status: 'UP' });
  });

  it('asks a dependency once for many probes', async () => {
    const health = createHealth({ reuseMs: 60_000 });
    let asked = 0;
    health.register('database', () => Promise.resolve({ ok: ++asked > 0, detail: 'connected' }));
    await Promise.all(Array.from({ length: 50 }, () => health.ready()));
    await health.ready();
    expect(asked).toBe(1);
  });

  it('is not ready but alive while draining, at once', async () => {
    const health = createHealth({ reuseMs: 60_000 });
    expect((await health.ready()).status).toBe('UP');
    health.startDraining();
    expect(health.draining()).toBe(true);
    expect((await health.ready()).status).toBe('DOWN');
    expect((await health.live()).status).toBe('UP');
  });
});
