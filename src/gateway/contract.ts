import { eventsSchema } from '../contracts';
import { asyncApiDocument } from '../messaging';
import { type Routes } from './httpServer';
import { readOnly } from './probes';
import { sendText } from './respond';

/**
 * What goes over the broker, for programs and those who write them: AsyncAPI 3 at `/asyncapi` and `/asyncapi.json`, and the events
 * as JSON Schema at `/events.schema.json`. The same documents are in `docs/`.
 */
export function contractRoutes(version: string): Routes {
  const asyncApi = serve(asyncApiDocument(version));
  return { '/asyncapi': asyncApi, '/asyncapi.json': asyncApi, '/events.schema.json': serve(eventsSchema()) };
}

/** Indented: people open it in a browser. */
function serve(document: object) {
  const text = `${JSON.stringify(document, null, 2)}\n`;
  return readOnly((_request, response) => {
    sendText(response, 200, text, { 'content-type': 'application/json; charset=utf-8' });
  });
}
