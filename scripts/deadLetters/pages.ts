import { visible } from '../visible';
import { type LetterInFull, type Listed, type Settled } from './desk';

/** How the desk's answers are written for a terminal. */

export function listPage({ counts, letters, hasMore }: Listed): string {
  if (counts.length === 0) return 'There are no dead letters.\n';
  const sums = table(
    ['queue', 'waiting', 'replayed', 'discarded', 'oldest waiting since'],
    counts.map((one) => [one.queue, one.waiting, one.replayed, one.discarded, one.oldestWaiting ? time(one.oldestWaiting) : '']),
  );
  if (letters.length === 0) return `${sums}\nNone of those that were asked for.\n`;
  const rows = letters.map(({ id, queue, state, type, aggregateId, timesDied, diedAt, reason }) => {
    return [id, queue, state.toLowerCase(), type ?? '', aggregateId ?? '', timesDied, time(diedAt), reason];
  });
  const list = table(['id', 'queue', 'state', 'type', 'about', 'died', 'last at', 'of'], rows);
  return `${sums}\n${list}${hasMore ? '\nThere are more: --limit N.\n' : ''}`;
}

export function letterPage(letter: LetterInFull): string {
  const { body, headers, actions } = letter;
  const facts: [string, string | number | null][] = [
    ['id', letter.id],
    ['state', letter.state.toLowerCase()],
    ['queue', letter.queue],
    ['died of', letter.reason],
    ['died', `${letter.timesDied} times, last ${time(letter.diedAt)} at attempt ${letter.attempt}`],
    ['type', letter.type],
    ['about', letter.aggregateId],
    ['message id', letter.messageId],
    ['correlation id', letter.correlationId],
    ['published to', `${letter.exchange || '(default exchange)'} / ${letter.routingKey}`],
  ];
  const known = facts.filter(([, value]) => value !== null);
  const done = actions.map(
    ({ action, actor, caller, reason, at }) =>
      `${time(at)}  ${action.toLowerCase()} by ${actor}${caller === null ? '' : ` (token of ${caller})`}: ${reason}`,
  );
  const content = body ? body.content.split('\n').map((line) => visible(line)) : ['too large to show'];
  return [
    ...known.map(([name, value]) => `${name.padEnd(15)} ${visible(String(value))}`),
    section(
      'headers',
      table(
        ['name', 'value'],
        headers.map(({ name, value }) => [name, value]),
      )
        .trimEnd()
        .split('\n')
        .slice(1),
    ),
    section('done about it', done.map(visible)),
    section(`body, ${letter.bodySize} bytes${body?.encoding === 'BASE64' ? ', in base64' : ''}`, content),
    '',
  ].join('\n');
}

export function settledPage({ dryRun, letters }: Settled): string {
  if (letters.length === 0) return 'There was nothing to do: no dead letter that waits fits.\n';
  const rows = letters.map(({ deadLetter, outcome, detail }) => {
    return [deadLetter.id, deadLetter.queue, deadLetter.type ?? '', deadLetter.aggregateId ?? '', words(outcome), detail ?? ''];
  });
  const sums = new Map<string, number>();
  for (const { outcome } of letters) sums.set(words(outcome), (sums.get(words(outcome)) ?? 0) + 1);
  const summary = [...sums].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
  return `${table(['id', 'queue', 'type', 'about', 'outcome', ''], rows)}\n${summary}${dryRun ? '; nothing was changed' : ''}.\n`;
}

/** In columns as wide as what stands in them; the last one is cut, for it is prose. */
function table(head: string[], rows: (string | number)[][]): string {
  const cells = rows.map((row) => row.map((cell) => visible(String(cell))));
  const widths = head.map((name, column) => Math.max(name.length, ...cells.map((row) => row[column]!.length)));
  const isFigure = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'));
  const line = (row: string[]) =>
    row
      .map((cell, column) => {
        if (column === head.length - 1) return cell.length > PROSE_MAX ? `${cell.slice(0, PROSE_MAX)}…` : cell;
        return isFigure[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
      })
      .join('  ')
      .trimEnd();
  return [head, ...cells].map((row) => `${line(row)}\n`).join('');
}

const PROSE_MAX = 120;

function section(title: string, lines: string[]): string {
  return lines.length === 0 ? `\n${title}: none` : `\n${title}\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

function time(iso: string): string {
  return `${iso.slice(0, 19).replace('T', ' ')}Z`;
}

function words(outcome: string): string {
  return outcome.toLowerCase().replaceAll('_', ' ');
}
