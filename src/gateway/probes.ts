import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type Health, type HealthAnswer } from '../observability/health';
import { type Metrics } from '../observability/metrics';
import { type RouteHandler, type Routes } from './httpServer';
import { sendJson, sendProblem, sendText } from './respond';

/**
 * What every role serves for those who run it: `/health/live` (restart me when DOWN), `/health/ready` (send me work while UP),
 * `/health` (the same as ready, for people) and `/metrics`. Health answers 200 or 503.
 */
export function probeRoutes({ health, metrics }: { health: Health; metrics: Metrics }): Routes {
  const ready = readOnly(async (_request, response) => sendHealth(response, await health.ready()));
  return {
    '/health': ready,
    '/health/ready': ready,
    '/health/live': readOnly(async (_request, response) => sendHealth(response, await health.live())),
    '/metrics': readOnly(async (_request, response) => {
      const { contentType, body } = await metrics.exposition();
      sendText(response, 200, body, { 'content-type': contentType });
    }),
  };
}

function sendHealth(response: ServerResponse, answer: HealthAnswer): void {
  sendJson(response, answer.status === 'UP' ? 200 : 503, answer);
}

/** Refuses every method but GET and HEAD. */
export function readOnly(handler: RouteHandler): RouteHandler {
  return (request: IncomingMessage, response, requestId) => {
    if (request.method === 'GET' || request.method === 'HEAD') return handler(request, response, requestId);
    const message = `This address answers GET and HEAD, not ${request.method}.`;
    sendProblem(response, { status: 405, code: 'METHOD_NOT_ALLOWED', message, requestId, headers: { allow: 'GET, HEAD' } });
  };
}
