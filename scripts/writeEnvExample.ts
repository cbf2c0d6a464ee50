import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { configFields } from '../src/config';
import { withLimitsTable } from './limitsTable';

/** `npm run env`: writes .env.example, the README's table and that of docs/limits.md from the config schema. A test fails when they are not up to date. */
export function envExample(): string {
  const rows = configFields().map(
    ({ name, default: fallback, meaning }) => `# ${meaning}\n${fallback === '' ? '# ' : ''}${name}=${fallback}\n`,
  );
  return `# Every setting of Holdfast with its default. Made from src/config.ts by \`npm run env\`.\n\n${rows.join('\n')}`;
}

export function configTable(): string {
  const rows = configFields().map(
    ({ name, default: fallback, meaning }) => `| \`${name}\` | ${fallback === '' ? '—' : `\`${fallback}\``} | ${meaning} |`,
  );
  return ['| setting | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

/** The README with the table between its two marks made anew. */
export function withConfigTable(readme: string): string {
  return readme.replace(/(<!-- config -->\n)[\s\S]*?(\n<!-- \/config -->)/, `$1\n${configTable()}\n$2`);
}

if (require.main === module) {
  const root = process.cwd();
  writeFileSync(join(root, '.env.example'), envExample());
  const readme = join(root, 'README.md');
  writeFileSync(readme, withConfigTable(readFileSync(readme, 'utf8')));
  const limits = join(root, 'docs', 'limits.md');
  writeFileSync(limits, withLimitsTable(readFileSync(limits, 'utf8')));
}
