import { below, pick, type Random } from '../random';

/** What values a run may name so that some of them exist: most random ids would only ever meet "not found". */
export interface KnownValues {
  productIds: number[];
  skus: string[];
  customers: string[];
  orderIds: string[];
  cursors: string[];
}

/** Ids and cursors out of answers, a few hundred of the latest, so that later requests find what earlier ones made. */
export function learn(known: KnownValues, text: string): void {
  keepLatest(known.orderIds, text.match(/ORD-[\w-]+/g) ?? []);
  keepLatest(
    known.cursors,
    [...text.matchAll(/"(?:\w+)":"([\w-]{8,60}={0,2})"/g)].map((match) => match[1]!).filter((value) => !value.startsWith('ORD-')),
  );
}

function keepLatest(list: string[], more: string[]): void {
  list.push(...more.slice(0, 20));
  list.splice(0, Math.max(0, list.length - 300));
}

export function chance(share: number, random: Random): boolean {
  return random() < share;
}

/** A whole number of GraphQL's Int: edges half of the time. */
export function anInt(known: KnownValues, random: Random): number {
  if (chance(0.3, random) && known.productIds.length > 0) return pick(known.productIds, random);
  return chance(0.5, random) ? pick(edgeInts, random) : below(200, random);
}

const edgeInts = [0, 1, -1, 2, 99, 100, 101, 1_000, 100_000, 100_001, 2 ** 31 - 1, -(2 ** 31), 2 ** 30];

/** Numbers that no Int, no quantity and no price is. `1e309` is read as Infinity, which JSON cannot write but can say. */
export const hostileNumbers = [
  ...['2147483648', '-2147483649', '4294967296', '9007199254740991', '9007199254740993', '-9007199254740993'],
  ...['1.5', '-0', '1e309', '-1e309', '1e-400', '0.1', '1e21', '123456789012345678901234567890'],
];

/** A text, well-formed unless `broken`: known ones, ordinary ones, and those that break programs. */
export function aText(known: KnownValues, random: Random, broken = false): string {
  if (chance(0.4, random)) {
    const all = [...known.skus, ...known.customers, ...known.orderIds, ...known.cursors];
    if (all.length > 0) return pick(all, random);
  }
  const text = pick(texts, random);
  return broken && chance(0.3, random) ? `${text}${pick(['\ud800', '\udc00', '\ud83d '], random)}` : text;
}

const texts = [
  ...['', ' ', '0', '-1', 'null', 'a', 'fuzz', 'ORD-', 'x'.repeat(64), 'x'.repeat(100), 'x'.repeat(201), 'é'.repeat(500)],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '${7*7}', '{{7*7}}', '%s%n', '%00', '../../etc/passwd'],
  ...["'; DROP TABLE orders.orders; --", "' OR '1'='1", '\\', '"', '`', '\u0000', 'a\u0000b', '\u0001\u001f\u007f', '\r\n\r\n'],
  ...[
    '\ufeff',
    '\u202e',
    '\u200b',
    '😀',
    '👨‍👩‍👧‍👦',
    'ﷺ',
    'e\u0301'.repeat(40),
    '١٢٣',
    '𝕏',
    '<script>alert(1)</script>',
    '\uffff',
    'İ',
  ],
  ...['2026-11-21T00:00:00Z', 'eyJpZCI6MX0', 'MQ==', 'MjE0NzQ4MzY0OA', 'OTIyMzM3MjAzNjg1NDc3NTgwOA', '-----'],
];

/** Bytes of no meaning. */
export function someBytes(length: number, random: Random): Buffer {
  return Buffer.from(Array.from({ length }, () => below(256, random)));
}

/** JSON of any shape, up to `depth` deep. */
export function anyJson(depth: number, known: KnownValues, random: Random): unknown {
  const kind = below(depth > 0 ? 9 : 6, random);
  if (kind === 0) return null;
  if (kind === 1) return chance(0.5, random);
  if (kind === 2) return anInt(known, random);
  if (kind === 3) return pick([1.5, -0.1, 1e21, 2 ** 31, 2 ** 53, -(2 ** 53), Number.MAX_VALUE, 5e-324], random);
  if (kind < 6) return aText(known, random, true);
  const size = below(4, random);
  if (kind < 8) return Array.from({ length: size }, () => anyJson(depth - 1, known, random));
  return Object.fromEntries(Array.from({ length: size }, () => [aText(known, random), anyJson(depth - 1, known, random)]));
}

/** `text` with one to four random wounds: bytes changed, parts cut, doubled, swapped or moved. */
export function wounded(text: string, random: Random): string {
  let result = text;
  for (let wounds = 1 + below(4, random); wounds > 0; wounds--) result = pick(woundings, random)(result, random);
  return result.slice(0, 200_000);
}

const woundings: ((text: string, random: Random) => string)[] = [
  (text, random) => text.slice(0, below(text.length + 1, random)),
  (text, random) => text.slice(below(text.length + 1, random)),
  (text, random) => splice(text, random, ''),
  (text, random) => splice(text, random, pick(sparks, random)),
  (text, random) => splice(text, random, String.fromCharCode(below(0x250, random))),
  (text, random) => {
    const [from, to] = span(text, random, 60);
    return text.slice(0, to) + text.slice(from, to).repeat(1 + below(30, random)) + text.slice(to);
  },
  (text, random) => onTokens(text, (tokens) => void tokens.splice(below(tokens.length, random), 1)),
  (text, random) => onTokens(text, (tokens) => tokens.splice(below(tokens.length, random), 0, pick(tokens, random))),
  (text, random) =>
    onTokens(text, (tokens) => {
      const [a, b] = [below(tokens.length, random), below(tokens.length, random)];
      [tokens[a], tokens[b]] = [tokens[b]!, tokens[a]!];
    }),
];

const sparks = [
  ...[
    '{',
    '}',
    '(',
    ')',
    '[',
    ']',
    '"',
    '"""',
    '\\',
    '\\u',
    '$',
    '@',
    '!',
    ':',
    '|',
    '&',
    '...',
    ',',
    '#',
    '\n',
    '\u0000',
    '\ufeff',
  ],
  ...[
    'null',
    'true',
    '-',
    '1e309',
    '0x1',
    'NaN',
    'on',
    'query',
    'fragment',
    'subscription',
    '__typename',
    '__schema',
    '__proto__',
  ],
];

function splice(text: string, random: Random, spark: string): string {
  const [from, to] = span(text, random, 6);
  return text.slice(0, from) + spark + text.slice(to);
}

function span(text: string, random: Random, lengthMax: number): [number, number] {
  const from = below(text.length + 1, random);
  return [from, Math.min(text.length, from + below(lengthMax, random))];
}

function onTokens(text: string, change: (tokens: string[]) => void): string {
  const tokens = text.match(/\w+|\s+|\.{3}|"(?:[^"\\]|\\.)*"|[^\w\s]/g);
  if (!tokens) return text;
  change(tokens);
  return tokens.join('');
}
