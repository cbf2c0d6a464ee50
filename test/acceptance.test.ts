import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..');

/**
 * The rows of the five platforms that Holdfast replaces, as docs/acceptance.md lists them: each with the tests that name it, so that
 * nobody drops one unseen, or with what is missing.
 */
const rowsOf = (system: string, count: number) => Array.from({ length: count }, (_, index) => `${system}.${index + 1}`);
const allRows = [...rowsOf('S0', 8), ...rowsOf('S1', 18), ...rowsOf('S2', 26), ...rowsOf('S3', 9), ...rowsOf('S4', 7)];

describe('docs/acceptance.md', () => {
  const page = readFileSync(join(root, 'docs/acceptance.md'), 'utf8');
  const listed = [...page.matchAll(/^\| (S\d\.\d+) +\| .+ \| (.+) \|$/gm)].map(([, row, shown]) => ({
    row: row!,
    tests: [...shown!.matchAll(/\(\.\.\/(test\/[^)]+)\)/g)].map((match) => match[1]!),
    isMissing: shown!.startsWith('**not yet**'),
  }));

  it('lists every row once', () => expect(listed.map(({ row }) => row)).toEqual(allRows));

  it('names for each row the tests that name it, or says that it does not hold yet', () => {
    expect(listed.map(({ row, tests, isMissing }) => [row, isMissing ? [] : tests])).toEqual(
      listed.map(({ row, isMissing }) => [row, isMissing ? [] : testsNaming(row)]),
    );
    expect(listed.filter(({ tests, isMissing }) => !isMissing && tests.length === 0)).toEqual([]);
  });
});

/** The files with a test whose title names the row. */
function testsNaming(row: string): string[] {
  const isNamed = new RegExp(`\\b(?:it|describe)(?:\\.each[^'\`"]*)?\\(\\s*['"\`][^\\n]*\\b${row.replace('.', '\\.')}(?!\\d)`);
  return readdirSync(__dirname, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && isNamed.test(readFileSync(join(__dirname, file), 'utf8')))
    .map((file) => `test/${file}`)
    .sort();
}

it('the pages are there: README, quickstart, services, event flow, GraphQL schema (S1.10, S2.18)', () => {
  for (const page of [
    'README.md',
    'docs/quickstart.md',
    'docs/services.md',
    'docs/events.md',
    'docs/acceptance.md',
    'docs/identity.md',
    'docs/live.md',
    'docs/limits.md',
    'docs/api.md',
    'docs/security.md',
    'schema.graphql',
    'LICENSE',
  ]) {
    expect([page, existsSync(join(root, page))]).toEqual([page, true]);
  }
  expect(readFileSync(join(root, 'docs/events.md'), 'utf8')).toContain('## Event flow');
  const troubleshooting = readFileSync(join(root, 'README.md'), 'utf8').split('## Troubleshooting')[1];
  for (const trouble of ['stay PENDING', 'connection refused', 'dead_letters']) expect(troubleshooting).toContain(trouble);
});

it('every link from page to file leads somewhere', () => {
  const pages = [
    'README.md',
    'quickstart',
    'services',
    'events',
    'acceptance',
    'identity',
    'api',
    'limits',
    'live',
    'security',
    'reliability',
    'performance',
  ];
  const paths = pages.map((page) => (page.endsWith('.md') ? page : `docs/${page}.md`));
  const broken = paths.flatMap((page) => {
    const links = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!http|#)([^)#]+)/g)].map((match) => match[1]!);
    return links.filter((link) => !existsSync(join(root, page, '..', link))).map((link) => `${page}: ${link}`);
  });
  expect(broken).toEqual([]);
});
