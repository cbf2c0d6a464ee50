import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..');

/** The rows of the platform that Holdfast replaces first: each is named by a test, so that nobody drops one unseen. */
it('rows S1.8, S2.1 to S2.18 and S2.26 are each named by a test', () => {
  const titles = readdirSync(__dirname, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && !file.startsWith('acceptance'))
    .flatMap((file) => [
      ...readFileSync(join(__dirname, file), 'utf8').matchAll(/\b(?:it|describe)(?:\.each[^'`"]*)?\(\s*['"`]([^\n]+)/g),
    ])
    .map((match) => match[1]!)
    .join('\n');
  const rows = ['S1.8', ...Array.from({ length: 18 }, (_, index) => `S2.${index + 1}`), 'S2.26'];
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
