import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..');

/** The rows of the platforms that Holdfast replaces: each is named by a test, so that nobody drops one unseen. */
it('the rows that hold are each named by a test', () => {
  const titles = readdirSync(__dirname, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && !file.startsWith('acceptance'))
    .flatMap((file) => [
      ...readFileSync(join(__dirname, file), 'utf8').matchAll(/\b(?:it|describe)(?:\.each[^'`"]*)?\(\s*['"`]([^\n]+)/g),
    ])
    .map((match) => match[1]!)
    .join('\n');
  const upTo18 = Array.from({ length: 18 }, (_, index) => `S2.${index + 1}`);
  const others =
    'S0.2 S0.3 S0.4 S1.1 S1.2 S1.3 S1.4 S1.5 S1.6 S1.8 S1.9 S1.12 S1.13 S1.17 S1.18 S2.26 S4.1 S4.2 S4.3 S4.4 S4.5'.split(' ');
  const rows = [...upTo18, ...others];
  const isNamed = (row: string) => new RegExp(`\\b${row.replace('.', '\\.')}(?!\\d)`).test(titles);
  expect(rows.filter((row) => !isNamed(row))).toEqual([]);
});

it('the pages are there: README, quickstart, services, event flow, GraphQL schema (S2.18)', () => {
  for (const page of ['README.md', 'docs/quickstart.md', 'docs/services.md', 'docs/events.md', 'schema.graphql', 'LICENSE']) {
    expect([page, existsSync(join(root, page))]).toEqual([page, true]);
  }
  expect(readFileSync(join(root, 'docs/events.md'), 'utf8')).toContain('## Event flow');
  expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain('## Troubleshooting');
});

it('every link from page to file leads somewhere', () => {
  const broken = ['README.md', 'docs/quickstart.md', 'docs/services.md', 'docs/events.md'].flatMap((page) => {
    const links = [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?!http|#)([^)#]+)/g)].map((match) => match[1]!);
    return links.filter((link) => !existsSync(join(root, page, '..', link))).map((link) => `${page}: ${link}`);
  });
  expect(broken).toEqual([]);
});
