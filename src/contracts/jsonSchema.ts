import { z } from 'zod';

import { bareEvents, events, type EventType } from './events';

export type JsonSchema = Record<string, unknown>;

/** Every event as JSON Schema, draft 2020-12, by the name that its body carries in `event`. */
export function eventsSchema(): JsonSchema {
  const types = Object.keys(events) as EventType[];
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:holdfast:events',
    title: 'The events of Holdfast',
    description:
      'Validate a message against #/$defs/<event>. Fields that are not known are to be kept or ignored, never refused.',
    anyOf: types.map((type) => ({ $ref: `#/$defs/${type}` })),
    $defs: Object.fromEntries(types.map((type) => [type, eventSchema(type)])),
  };
}

/** What a reader has to be ready for, and a publisher may send. Those that may come without `event` need none. */
export function eventSchema(type: EventType): JsonSchema {
  const schema = jsonSchema(events[type]);
  if (!bareEvents.includes(type)) return schema;
  return { ...schema, required: (schema.required as string[]).filter((field) => field !== 'event') };
}

/** For a place inside another document, which says once which draft it is. */
export function jsonSchema(schema: z.ZodType): JsonSchema {
  return { ...z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' }), $schema: undefined };
}
