import { connect } from 'node:net';
import { startHttpServer } from '../../src/gateway/httpServer';
import { PortInUse } from '../../src/gateway/portInUse';
import { createLogger } from '../../src/observability/logger';
import { createMetrics } from '../../src/observability/metrics';
import { errorOf, startGateway } from './startGateway';

describe('the HTTP server', () => {
  it('answers an unknown route with JSON that says what there is', async () => {
    const gateway = await startGateway();
    const answer = await fetch(`${gateway.url}/nothing?x=1`);
    expect(answer.status).toBe(404);
    const { message, extensions } = await errorOf(answer);
    expect(message).toContain('/graphql');
    expect(extensions).toEqual({ code: 'NOT_FOUND', requestId: answer.headers.get('x-request-id') });
    await gateway.stop();
  });

  it('names the port and the variable when the port is in use', async () => {
    const gateway = await startGateway();
    const options = {
      host: '127.0.0.1',
      routes: {},
      log: createLogger({ level: 'silent', name: 'test' }),
      metrics: createMetrics(),
    };
    const second = startHttpServer({ port: gateway.port, ...options });
    await expect(second).rejects.toThrow(PortInUse);
    await expect(second).rejects.toThrow(new RegExp(`Port ${gateway.port} .* PORT`));
    await gateway.stop();
  });

  it('masks what a route throws', async () => {
    const moreRoutes = () => ({ '/broken': () => Promise.reject(new Error('inner secret')) });
    const gateway = await startGateway({ moreRoutes });
    const answer = await fetch(`${gateway.url}/broken`);
    expect(answer.status).toBe(500);
    expect(JSON.stringify(await errorOf(answer))).not.toContain('inner secret');
    expect(JSON.stringify(gateway.lines)).toContain('inner secret');
    await gateway.stop();
  });

  it('survives a client that leaves in the middle of its request', async () => {
    const gateway = await startGateway();
    const socket = connect(gateway.port, '127.0.0.1');
    await new Promise((resolve) => {
      socket.on('close', resolve);
      socket.write(
        'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"query"',
        () => socket.destroy(),
      );
    });
    expect((await gateway.post({ query: '{ __typename }' })).status).toBe(200);
    await gateway.stop();
  });

  it('tells who waits too long that there is no answer, and lets nobody be answered twice', async () => {
    const gateway = await startGateway({ times: { answerMs: 500 } });
    const answer = await gateway.post({ query: '{ held }' });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    const { message, extensions } = await errorOf(answer);
    expect(message).toContain('no answer after 0.5 s');
    expect(extensions).toEqual({ code: 'SERVICE_UNAVAILABLE', requestId: answer.headers.get('x-request-id') });
    gateway.held.release();
    expect((await gateway.post({ query: '{ __typename }' })).status).toBe(200);
    expect(JSON.stringify(gateway.lines)).not.toContain('failed inside');
    await gateway.stop();
  });

  it.each([
    ['headers', 'POST /graphql HTTP/1.1\r\nhost: x\r\n', { headersMs: 100 }],
    [
      'a body',
      'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{',
      { receiveMs: 100 },
    ],
  ])('hangs up on who sends %s without an end', async (_case, sent, times) => {
    const gateway = await startGateway({ times });
    const socket = connect(gateway.port, '127.0.0.1');
    let heard = '';
    socket.on('data', (data) => (heard += data.toString()));
    socket.write(sent);
    await new Promise((resolve) => socket.on('close', resolve));
    expect(heard).toContain('408');
    await gateway.stop();
  });

  it('hangs up on who asks nothing for long', async () => {
    const gateway = await startGateway({ times: { keepAliveMs: 100 } });
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('data', () => undefined);
    socket.write('GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise((resolve) => socket.on('close', resolve));
    await gateway.stop();
  });

  it.each([
    ['a body that is too large', 'content-length: 9000000', 413],
    ['a caller whose token is not good', 'content-length: 90\r\nauthorization: Bearer guessed', 401],
  ])('refuses %s before the body is sent, when the client asks first', async (_case, headers, status) => {
    const gateway = await startGateway();
    const socket = connect(gateway.port, '127.0.0.1');
    socket.write(
      `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${headers}\r\nexpect: 100-continue\r\n\r\n`,
    );
    const head = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())));
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    socket.destroy();
    await gateway.stop();
  });

  describe('when it is closed', () => {
    it('finishes the request under way and takes no new connection', async () => {
      const gateway = await startGateway();
      const underWay = gateway.post({ query: '{ held }' });
      await gateway.held.underWay;
      const closed = gateway.close();
      await expect(fetch(`${gateway.url}/health/live`)).rejects.toThrow();
      gateway.held.release();
      const answer = await underWay;
      expect(answer.headers.get('connection')).toBe('close');
      expect(await answer.json()).toEqual({ data: { held: 'finished' } });
      await closed;
      await gateway.stop();
    });

    it('cuts a request that does not end within the limit', async () => {
      const gateway = await startGateway({ closeLimitMs: 50 });
      const underWay = gateway.post({ query: '{ held }' });
      const outcome = expect(underWay).rejects.toThrow();
      await gateway.held.underWay;
      await gateway.close();
      await outcome;
      await gateway.stop();
    });
  });
});

describe('the routes of operation', () => {
  it('tell health as 200 or 503 with every check', async () => {
    const gateway = await startGateway();
    let ok = true;
    gateway.health.register('database', () => Promise.resolve({ ok, detail: 'connected to postgres' }));
    const ready = async () => {
      const answer = await fetch(`${gateway.url}/health/ready`);
      return { code: answer.status, ...((await answer.json()) as object) };
    };
    expect(await ready()).toMatchObject({ code: 200, status: 'UP' });
    ok = false;
    expect(await ready()).toMatchObject({ code: 503, checks: [{ name: 'database', status: 'DOWN' }, { status: 'UP' }] });
    ok = true;
    gateway.health.startDraining();
    expect(await ready()).toMatchObject({ code: 503, checks: [{ status: 'UP' }, { name: 'accepting', status: 'DOWN' }] });
    expect((await fetch(`${gateway.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${gateway.url}/health`)).status).toBe(503);
    await gateway.stop();
  });

  it('expose the metrics of requests and operations, under names that clients cannot choose', async () => {
    const gateway = await startGateway();
    await (await gateway.post({ query: 'query MadeUpName { orders { __typename } }' })).text();
    await (await gateway.post({ query: '{ a: fault }' })).text();
    await (await fetch(`${gateway.url}/made/up/path`)).text();
    const answer = await fetch(`${gateway.url}/metrics`);
    expect(answer.headers.get('content-type')).toContain('text/plain');
    const lines = (await answer.text()).trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(/^(#|$|[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? \S+$)/);
    const text = lines.join('\n');
    expect(text).toContain('operation="orders",type="query",outcome="ok"} 1');
    expect(text).toContain('operation="fault",type="query",outcome="fault"} 1');
    expect(text).toContain('http_request_duration_seconds_count{route="/graphql",method="POST",status="200"} 2');
    expect(text).toContain('http_request_duration_seconds_count{route="other",method="GET",status="404"} 1');
    expect(text).not.toMatch(/MadeUpName|made\/up/);
    await gateway.stop();
  });

  it('answer GET only', async () => {
    const gateway = await startGateway();
    expect((await fetch(`${gateway.url}/metrics`, { method: 'POST' })).status).toBe(405);
    await gateway.stop();
  });
});
