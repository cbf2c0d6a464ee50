import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { bareEvents, events, eventsSchema, routes, type EventType } from '../src/contracts';
import { asyncApiDocument } from '../src/messaging';
import { version } from '../src/version';

/** What `npm run contract` writes, by the file it goes to. A test fails when one of them is not up to date. */
export function contractFiles(eventsPage: string): Record<string, string> {
  return {
    'docs/asyncapi.json': `${JSON.stringify(asyncApiDocument(version), null, 2)}\n`,
    'docs/events.schema.json': `${JSON.stringify(eventsSchema(), null, 2)}\n`,
    'docs/events.md': withEventsTable(eventsPage),
  };
}

/** The page with the table between its two marks made anew. */
function withEventsTable(page: string): string {
  return page.replace(/(<!-- every event -->\n)[\s\S]*?(\n<!-- \/every event -->)/, `$1\n${eventsTable()}\n$2`);
}

function eventsTable(): string {
  const rows = (Object.keys(events) as EventType[]).map((type) => {
    const { exchange, key } = routes[type];
    const says = `${events[type].description}${bareEvents.includes(type) ? ' Sent by clients.' : ''}`;
    return `| \`${type}\` | ${exchange === '' ? 'default' : `\`${exchange}\``} | ${key === '' ? 'empty' : `\`${key}\``} | ${says} |`;
  });
  return ['| event | exchange | routing key | says |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

if (require.main === module) {
  const root = process.cwd();
  const page = readFileSync(join(root, 'docs/events.md'), 'utf8');
  for (const [file, text] of Object.entries(contractFiles(page))) writeFileSync(join(root, file), text);
}
