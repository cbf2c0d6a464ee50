import { startTcpProxy, type TcpProxy } from '../../scripts/chaos/tcpProxy';
import { waitForPostgres } from '../../src/database';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** The start of a process that was given a Postgres which is not there yet. */
describe('waitForPostgres', () => {
  let test: TestDatabase;
  let proxy: TcpProxy;
  let url: URL;

  beforeAll(async () => {
    test = await createTestDatabase();
    const server = new URL(test.url);
    proxy = await startTcpProxy({ host: server.hostname, port: Number(server.port) });
    url = new URL(test.url);
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
  });
  afterAll(async () => {
    await proxy.close();
    await test.drop();
  });

  it('waits until the server takes connections (S4.7)', async () => {
    proxy.cut();
    let hasCome = false;
    const waiting = waitForPostgres(url.href).then(() => (hasCome = true));
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(hasCome).toBe(false);
    proxy.heal();
    await waiting;
  });

  it('gives up at its limit with what was said last', async () => {
    const nowhere = waitForPostgres('postgresql://holdfast:secret@127.0.0.1:1/holdfast', 600);
    await expect(nowhere).rejects.toThrow(/^No connection to Postgres at 127.0.0.1:1: .*ECONNREFUSED .* Start it,/);
  });

  it('does not wait for a server that is there and says no', async () => {
    const nobody = new URL(url);
    nobody.password = 'wrong';
    await expect(waitForPostgres(nobody.href)).rejects.toThrow(/Correct the user and password/);
    const nothing = new URL(url);
    nothing.pathname = '/nothing';
    await expect(waitForPostgres(nothing.href)).rejects.toThrow(/does not exist/);
  });
});
