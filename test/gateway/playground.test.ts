import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';
import { request } from 'undici';
import { playgroundRoutes } from '../../src/gateway/playground';
import { startGateway } from './startGateway';

const browserPath = findChromium();
const withBrowser = browserPath === undefined ? describe.skip : describe;
if (browserPath === undefined) {
  process.stderr.write('Skipped: the playground in a browser. Install chromium or set CHROMIUM_PATH to run it.\n');
}

describe('the playground', () => {
  it('says how to build it where it was not built', async () => {
    const moreRoutes = () => playgroundRoutes({ graphql: () => {}, assetsDirectory: '/does/not/exist' });
    const gateway = await startGateway({ moreRoutes });
    const answer = await fetch(`${gateway.url}/playground/graphiql.min.js`);
    expect([answer.status, await answer.text()]).toEqual([404, expect.stringContaining('npm run build')]);
    await gateway.stop();
  });

  it.each<[string, Record<string, string>, boolean]>([
    ['localhost', { host: 'localhost:4000' }, true],
    ['the IPv6 loopback', { host: '[::1]:4000' }, true],
    ['a name that a stranger has led here', { host: 'evil.example:4000' }, false],
    ['a name that only begins like ours', { host: 'localhost.evil.example' }, false],
    ['a proxy', { host: 'localhost', 'x-forwarded-for': '10.0.0.1' }, false],
    ['a proxy of another make', { host: 'localhost', 'x-real-ip': '10.0.0.1' }, false],
    ['a proxy that says so by Via', { host: 'localhost', via: '1.1 front' }, false],
  ])('gives its token to whoever opens it on this machine, and to nobody else: %s', async (_name, headers, isGiven) => {
    const login = () => Promise.resolve('the-token');
    const gateway = await startGateway({ moreRoutes: () => playgroundRoutes({ graphql: () => {}, login }) });
    const answer = await request(`${gateway.url}/graphql`, { headers: { accept: 'text/html', ...headers } });
    expect((await answer.body.text()).includes('the-token')).toBe(isGiven);
    await gateway.stop();
  });
});

withBrowser('the playground in a browser', () => {
  let assetsDirectory: string;
  let browser: Browser;
  let gateway: Awaited<ReturnType<typeof startGateway>>;

  beforeAll(async () => {
    assetsDirectory = await mkdtemp(path.join(tmpdir(), 'holdfast-playground-'));
    await promisify(execFile)(process.execPath, [path.join(__dirname, '../../scripts/copyPlayground.mjs'), assetsDirectory]);
    gateway = await startGateway({
      moreRoutes: (routes) => playgroundRoutes({ graphql: routes['/graphql'] ?? (() => {}), assetsDirectory }),
    });
    browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
  });

  afterAll(async () => {
    await browser?.close();
    await gateway?.stop();
    await rm(assetsDirectory, { recursive: true, force: true });
  });

  it('runs the first mutation and shows its answer, without any request to another host and without an error', async () => {
    const page = await browser.newPage();
    const elsewhere: string[] = [];
    const complaints: string[] = [];
    await page.route('**/*', (route) => {
      if (route.request().url().startsWith(gateway.url)) return route.continue();
      elsewhere.push(route.request().url());
      return route.abort();
    });
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));

    await page.goto(`${gateway.url}/graphql`);
    await page.locator('.graphiql-execute-button').click();
    await page.locator('.result-window').getByText('"PENDING"').waitFor({ timeout: 20_000 });

    expect(await page.title()).toContain('Holdfast');
    expect(elsewhere).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('lets nothing but its own origin into the page', async () => {
    const answer = await fetch(`${gateway.url}/graphql`, { headers: { accept: 'text/html' } });
    const policy = answer.headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
  });

  it.each([
    ['graphiql.min.js', 'text/javascript'],
    ['graphiql.min.css', 'text/css'],
    ['start.mjs', 'text/javascript'],
    ['graphiql.LICENSE.txt', 'text/plain'],
  ])('serves %s with its type, and revalidates it', async (name, type) => {
    const answer = await fetch(`${gateway.url}/playground/${name}`);
    expect(answer.headers.get('content-type')).toContain(type);
    const again = await fetch(`${gateway.url}/playground/${name}`, {
      headers: { 'if-none-match': answer.headers.get('etag') ?? '' },
    });
    expect(again.status).toBe(304);
  });

  it('serves no file outside its folder', async () => {
    for (const name of ['..%2f..%2fpackage.json', '%2e%2e/package.json', 'nothing.js', '%00', '%']) {
      expect((await fetch(`${gateway.url}/playground/${name}`)).status).toBe(404);
    }
  });
});

function findChromium(): string | undefined {
  const onPath = () => {
    try {
      return execFileSync('which', ['chromium'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    } catch {
      return undefined;
    }
  };
  return [process.env['CHROMIUM_PATH'], '/usr/bin/chromium', onPath()].find((candidate) => candidate && existsSync(candidate));
}
