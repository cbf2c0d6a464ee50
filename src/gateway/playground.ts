import { existsSync } from 'node:fs';
import { type IncomingMessage } from 'node:http';
import path from 'node:path';
import sirv from 'sirv';
import { isProxied } from './addresses';
import { type RouteHandler, type Routes } from './httpServer';
import { playgroundTabs } from './playgroundTabs';
import { sendProblem, sendText } from './respond';

export interface PlaygroundOptions {
  /** Answers `/graphql` for programs. */
  graphql: RouteHandler;
  /** A token that the page shows to `/graphql`; only whoever opens it on this machine is given one. */
  login?: () => Promise<string>;
  /** Where `scripts/copyPlayground.mjs` put the assets. */
  assetsDirectory?: string;
}

/**
 * `/graphql` for programs and, in a browser, the playground; its assets come from `/playground/`, so that it works without the
 * internet. In production mount the plain handler instead.
 */
export function playgroundRoutes({ graphql, login, assetsDirectory = builtAssets }: PlaygroundOptions): Routes {
  const serveFile = existsSync(assetsDirectory) ? sirv(assetsDirectory, { etag: true, gzip: true, maxAge: 0 }) : undefined;
  return {
    '/graphql': async (request, response, requestId) => {
      if (request.method !== 'GET' || !request.headers.accept?.includes('text/html'))
        return graphql(request, response, requestId);
      const token = login && isHere(request) ? await login() : undefined;
      sendText(response, 200, pageWith(token), pageHeaders);
    },
    '/playground/': (request, response, requestId) => {
      const missing = () => sendMissing(response, requestId, serveFile === undefined);
      if (serveFile === undefined) return missing();
      request.url = request.url?.slice('/playground'.length);
      response.setHeader('x-content-type-options', 'nosniff');
      serveFile(request, response, missing);
    },
  };
}

/**
 * By its connection, and by the name it was called by: a page of another site may lead its own name to this machine, and would then read
 * ours with the token in it. What came through a proxy may come from anywhere; one that hides is not known, so the page says of a token
 * only that it is for development.
 */
function isHere({ socket, headers, httpVersion }: IncomingMessage): boolean {
  const isLocal = ['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(socket.remoteAddress ?? '');
  const mayBeProxied = httpVersion !== '1.1' || isProxied(headers);
  return isLocal && !mayBeProxied && /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(headers.host ?? '');
}

/** Seen from dist/src/gateway, where this file runs. */
const builtAssets = path.join(__dirname, '../../playground');

function sendMissing(response: Parameters<RouteHandler>[1], requestId: string, unbuilt: boolean): void {
  const message = unbuilt ? 'The playground was not built: run npm run build.' : 'There is no such file in the playground.';
  sendProblem(response, { status: 404, code: 'NOT_FOUND', message, requestId });
}

/** Inline styles are what the editor draws with; everything else comes from files of this origin, and nothing from anywhere else. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': contentSecurityPolicy,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  vary: 'accept',
};

const pageWith = (token: string | undefined) => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Holdfast · GraphQL</title>
    <link rel="icon" type="image/svg+xml" href="/playground/holdfast.svg" />
    <link rel="stylesheet" href="/playground/graphiql.min.css" />
    <link rel="stylesheet" href="/playground/holdfast.css" />
  </head>
  <body>
    <header>
      <img src="/playground/holdfast.svg" alt="" width="22" height="22" />
      <strong>Holdfast</strong>
      <span>orders and stock${token === undefined ? '' : ' · you are the operator, in development'}</span>
      <nav><a href="/health">health</a><a href="/metrics">metrics</a></nav>
    </header>
    <main id="playground"><p>Loading the playground…</p></main>
    <noscript>The playground needs JavaScript. Programs send POST /graphql.</noscript>
    <script type="application/json" id="tabs">${JSON.stringify(playgroundTabs).replaceAll('<', '\\u003c')}</script>
    <script type="application/json" id="login">${JSON.stringify(token === undefined ? {} : { authorization: `Bearer ${token}` })}</script>
    <script src="/playground/react.production.min.js" defer></script>
    <script src="/playground/react-dom.production.min.js" defer></script>
    <script src="/playground/graphiql.min.js" defer></script>
    <script src="/playground/start.mjs" type="module"></script>
  </body>
</html>
`;
