import Ajv, { type AnySchema } from 'ajv';
import Ajv2020 from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { contractFiles } from '../../scripts/writeContract';
import { bareEvents, events, eventsSchema, routes, rpcs, rpcSamples, samples, type EventType } from '../../src/contracts';
import { asyncApiDocument, notificationsTopology, topology } from '../../src/messaging';
import { version } from '../../src/version';
import { aHouse } from '../support/aHouse';
import { readConsumers } from './consumers';

/** What we publish of our messages for other teams' machines: valid, complete, and made from what we check messages by. */
const root = join(__dirname, '..', '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const document = asyncApiDocument(version) as AsyncApi;
const types = Object.keys(events) as EventType[];
const declaredQueues = [...topology.queues, ...notificationsTopology.queues];

it.each(Object.keys(contractFiles('')))('%s is up to date: `npm run contract` writes it', (file) => {
  expect(read(file)).toBe(contractFiles(read('docs/events.md'))[file]);
});

it('the gateway serves what is committed, and to readers only', async () => {
  const house = await aHouse({ roles: ['gateway'] });
  const answers = ['/asyncapi', '/asyncapi.json', '/events.schema.json'].map((path) => fetch(`${house.url}${path}`));
  const [first, second, schema] = await Promise.all(answers);
  expect(await first!.text()).toBe(read('docs/asyncapi.json'));
  expect(await second!.text()).toBe(read('docs/asyncapi.json'));
  expect(await schema!.text()).toBe(read('docs/events.schema.json'));
  expect(first!.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect((await fetch(`${house.url}/asyncapi`, { method: 'POST' })).status).toBe(405);
  await house.drop();
});

describe('the AsyncAPI document', () => {
  it('is valid by the schema of AsyncAPI 3.0, its AMQP bindings too', () => {
    const validate = draft7().compile(
      JSON.parse(readFileSync(require.resolve('@asyncapi/specs/schemas/3.0.0-without-$id.json'), 'utf8')),
    );
    expect([validate(JSON.parse(JSON.stringify(document))), validate.errors]).toEqual([true, null]);
  });

  it('refers to nothing that is not there', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!);
    expect(references.length).toBeGreaterThan(100);
    expect(references.filter((reference) => resolved(reference) === undefined)).toEqual([]);
  });

  it('has operations only with messages of their channels', () => {
    for (const { channel, messages, reply } of Object.values(document.operations)) {
      expect(messages.length).toBeGreaterThan(0);
      for (const { $ref } of messages) expect($ref.startsWith(`${channel.$ref}/messages/`)).toBe(true);
      for (const { $ref } of reply?.messages ?? []) expect($ref.startsWith(`${reply!.channel.$ref}/messages/`)).toBe(true);
    }
  });

  it('knows every event, with its exchange and key, every queue and every question', () => {
    const { channels, operations, components } = document;
    const sent = types.filter((type) => !bareEvents.includes(type));
    expect(Object.keys(operations).sort()).toEqual(
      [
        ...sent.map((type) => `send.${type}`),
        ...declaredQueues.filter(({ kind }) => kind === 'work').map(({ name }) => `receive.${name}`),
        ...Object.values(rpcs).map(({ queue }) => `answer.${queue}`),
      ].sort(),
    );
    for (const type of types) {
      const { exchange, key } = routes[type];
      const carrying = Object.values(channels).filter(({ messages }) => type in messages);
      expect(carrying.map(({ address }) => address)).toContain(key);
      if (exchange !== '') expect(carrying.map(({ bindings }) => bindings?.amqp.exchange?.name)).toContain(exchange);
    }
    for (const message of Object.values(components.messages)) expect(message.summary).toMatch(/\w/);
  });

  it('shows examples that its own schemas accept', () => {
    const ajv = draft7();
    for (const [name, { payload, examples, traits = [] }] of Object.entries(document.components.messages)) {
      const validate = ajv.compile(resolved(payload.$ref) as AnySchema);
      expect([name, validate(examples[0]!.payload), validate.errors]).toEqual([name, true, null]);
      for (const { $ref } of traits) {
        const isHeaders = ajv.compile((resolved($ref) as { headers: AnySchema }).headers);
        expect([name, isHeaders(examples[0]!.headers), isHeaders.errors]).toEqual([name, true, null]);
      }
    }
  });

  it('says of each queue what its consumer takes', async () => {
    for (const [queue, handled] of Object.entries((await readConsumers()).events)) {
      const told = Object.keys(document.channels[`queue.${queue}`]!.messages);
      expect([queue, told.sort()]).toEqual([queue, handled]);
    }
  });
});

describe('the JSON Schema of the events', () => {
  const ajv = new Ajv2020({ strict: false });
  addFormats(ajv);
  ajv.addSchema(eventsSchema());
  const validatorOf = (type: EventType) => ajv.getSchema(`urn:holdfast:events#/$defs/${type}`)!;

  it.each(types)('accepts the sample of %s, and refuses it cut short', (type) => {
    expect([validatorOf(type)(samples[type]), validatorOf(type).errors]).toEqual([true, null]);
    expect(validatorOf(type)({ ...samples[type], order_id: undefined, product_id: undefined })).toBe(false);
  });

  it('means the same in draft 2020-12 and in draft-07, which is what AsyncAPI tools read', () => {
    for (const schema of [...Object.values(events), ...Object.values(rpcs).flatMap(({ request, reply }) => [request, reply])]) {
      const [newer, older] = (['draft-2020-12', 'draft-7'] as const).map((target) =>
        z.toJSONSchema(schema, { io: 'input', target }),
      );
      expect({ ...newer, $schema: '' }).toEqual({ ...older, $schema: '' });
    }
  });
});

it('every sample is understood as it stands', () => {
  for (const type of types) expect(events[type].parse(samples[type])).toEqual(samples[type]);
  for (const [name, { request, reply }] of Object.entries(rpcs)) {
    const sample = rpcSamples[name as keyof typeof rpcs];
    expect([request.parse(sample.request), reply.parse(sample.reply)]).toEqual([sample.request, sample.reply]);
  }
});

function draft7(): Ajv {
  const ajv = new Ajv({ strict: false });
  addFormats(ajv);
  return ajv;
}

function resolved(reference: string): unknown {
  const steps = reference.replace(/^#\//, '').split('/');
  return steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document);
}

interface Reference {
  $ref: string;
}

interface AsyncApi {
  channels: Record<
    string,
    { address: string | null; messages: Record<string, Reference>; bindings?: { amqp: { exchange?: { name: string } } } }
  >;
  operations: Record<
    string,
    { channel: Reference; messages: Reference[]; reply?: { channel: Reference; messages: Reference[] } }
  >;
  components: {
    messages: Record<
      string,
      { summary: string; payload: Reference; traits?: Reference[]; examples: { payload: unknown; headers?: unknown }[] }
    >;
  };
}
