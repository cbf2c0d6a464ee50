import { configFields } from '../src/config';
import { PAGE_SIZE_MAX } from '../src/graphql';

/**
 * Every limit that whoever asks can meet, in the words of docs/limits.md: settings with their defaults out of the config schema, then
 * what is fixed. `npm run env` writes the table; a test fails when it is not up to date, or when a new setting that limits something
 * has no place in it.
 */
export function limitsTable(): string {
  const settings = new Map(configFields().map((field) => [field.name, field]));
  const rows = Object.entries(told).map(([name, answer]) => {
    const { default: fallback, meaning } = settings.get(name)!;
    return `| \`${name}\` | ${Number(fallback).toLocaleString('en')} | ${meaning} | ${answer} |`;
  });
  const others = fixed.map(([limit, value, answer]) => `| fixed | ${value} | ${limit} | ${answer} |`);
  return ['| setting | default | limits | beyond it |', '| --- | --- | --- | --- |', ...rows, ...others].join('\n');
}

export function withLimitsTable(page: string): string {
  return page.replace(/(<!-- limits -->\n)[\s\S]*?(\n<!-- \/limits -->)/, `$1\n${limitsTable()}\n$2`);
}

/** In the order of the schema. */
export function settingsThatLimit(): string[] {
  const names = Object.keys(told);
  return configFields()
    .map(({ name }) => name)
    .filter((name) => names.includes(name));
}

/** By its name: what ends so limits something. What only the house itself meets is none of a caller's business. */
export function isLimit(name: string): boolean {
  return (
    /(_MAX|_LIMIT_KIB|_PER_MINUTE|_TIMEOUT_SECONDS|KEEP_ALIVE_SECONDS)$/.test(name) && !/^(NOTIFY|COMMIT|CONSUMER)_/.test(name)
  );
}

const badInput = '400 `BAD_USER_INPUT`';
const rateLimited = '429 `RATE_LIMITED`, gRPC `RESOURCE_EXHAUSTED`';

/** What who goes beyond each of them is told. */
const told: Record<string, string> = {
  RATE_CUSTOMER_PER_MINUTE: rateLimited,
  RATE_ADDRESS_PER_MINUTE: rateLimited,
  BACKLOG_MAX: '`BUSY`: `BusyError`, 503, gRPC `UNAVAILABLE`; messages wait',
  LIVE_CONNECTIONS_MAX: 'one that has not said who it is gives its place up; where all have, the upgrade is answered with 503',
  LIVE_CONNECTIONS_PER_CUSTOMER_MAX: 'closed with 1008',
  LIVE_SUBSCRIPTIONS_MAX: '`BAD_USER_INPUT` for that subscription',
  LIVE_INIT_TIMEOUT_SECONDS: 'closed with 4408',
  INTAKE_MAX: 'orders wait, for 10 s; then 503 `SERVICE_UNAVAILABLE`',
  ORDER_LINES_MAX: '`VALIDATION_FAILED`',
  ORDER_QUANTITY_MAX: '`VALIDATION_FAILED`',
  BODY_LIMIT_KIB: '413 `PAYLOAD_TOO_LARGE`, gRPC `RESOURCE_EXHAUSTED`',
  GRAPHQL_COST_MAX: badInput,
  GRAPHQL_DEPTH_MAX: badInput,
  GRAPHQL_ALIASES_MAX: badInput,
  GRAPHQL_REPEATS_MAX: badInput,
  GRAPHQL_TOKENS_MAX: '400 `GRAPHQL_PARSE_FAILED`',
  REQUEST_TIMEOUT_SECONDS: '503 `SERVICE_UNAVAILABLE`, gRPC `DEADLINE_EXCEEDED`',
  HEADERS_TIMEOUT_SECONDS: '408, and the connection is closed',
  RECEIVE_TIMEOUT_SECONDS: '408, and the connection is closed; gRPC `DEADLINE_EXCEEDED`',
  KEEP_ALIVE_SECONDS: 'the connection is closed',
};

const fixed: [limit: string, value: string, answer: string][] = [
  ['Entries of a page of GraphQL.', String(PAGE_SIZE_MAX), badInput],
  ['Products of a page of `GET /products`.', '1,000', '422 `VALIDATION_FAILED`'],
  ['Orders of one `createOrders`; products of one `stockAvailability`.', '100', badInput],
  ['GraphQL requests in one HTTP request.', '1', badInput],
  ['Levels of the JSON of a request.', '100', badInput],
  ['Streams and calls of one gRPC connection at a time.', '1,000', 'the client waits'],
  [
    '`WatchOrder` of one customer at one gateway: as many as it may have subscriptions (connections times subscriptions).',
    '—',
    'gRPC `RESOURCE_EXHAUSTED`',
  ],
  ['Units of a product for one customer: `maxPerCustomer` of the product.', '—', 'the order is CANCELLED with `PURCHASE_LIMIT`'],
];
