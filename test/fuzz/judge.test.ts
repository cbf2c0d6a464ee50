import { breaches, type Answer } from '../../scripts/fuzz/judge';
import { plainHeaders, type FuzzRequest } from '../../scripts/fuzz/request';

const plain: FuzzRequest = { number: 1, kind: 'hostile', name: 'a document', headers: plainHeaders, body: '{}' };
const raw: FuzzRequest = { ...plain, raw: { pieces: ['GET /graphql HTTP/1.1\r\n\r\n'], pauseMs: 0, hangUp: false } };
const refusal = '{"errors":[{"message":"No.","extensions":{"code":"BAD_USER_INPUT"}}]}';
const anAnswer = (more: Partial<Answer>): Answer => ({
  ...{ status: 400, contentType: 'application/json', text: refusal, ms: 10 },
  ...more,
});

it.each<[string, FuzzRequest, Partial<Answer>]>([
  ['a refusal', plain, {}],
  ['an upgrade that is answered over WebSocket', raw, { status: 101, contentType: '', text: '\ufffd\u001c\u0011' }],
  ['what is broken as HTTP, without a word', raw, { status: 400, contentType: '', text: '' }],
  ['what is broken as HTTP, by silence', raw, { status: 0, contentType: '', text: '' }],
])('%s is in order', (_case, request, answer) => expect(breaches(request, anAnswer(answer))).toEqual([]));

it.each<[string, FuzzRequest, Partial<Answer>, string]>([
  ['no answer', plain, { status: 0, text: 'other side closed' }, 'no answer: other side closed'],
  ['an answer that is late', plain, { ms: 5_001 }, 'took 5001 ms'],
  ['a fault of ours', plain, { status: 500, text: refusal.replace('BAD_USER_INPUT', 'INTERNAL') }, 'INTERNAL, a fault of ours'],
  ['no JSON', plain, { contentType: 'text/html', text: '<p>' }, 'no JSON: text/html'],
  ['a stack', plain, { text: refusal.replace('No.', 'at handle (/app/dist/src/main.js:1:2)') }, 'says'],
])('%s breaks a promise', (_case, request, answer, what) =>
  expect(breaches(request, anAnswer(answer))).toEqual(expect.arrayContaining([expect.stringContaining(what)])),
);
