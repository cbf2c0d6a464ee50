import { grouped } from '../simulate/progress';
import { type Percentiles } from '../simulate/report';
import { costLines } from './costs';
import { milliseconds, NAME_WIDTH } from './layout';
import { type OverloadResult } from './overload';
import { type BenchResult, type GoalResult, type PointResult, type SoakFigures } from './result';
import { nameOf, pointsLike } from './round';

/** The result for people: a bar for every point, then the ratios, then what it cost. */
export function report(result: BenchResult): string {
  return [
    '',
    machineLine(result),
    ...(result.points.length > 0 ? ['', ...pointLines(result.points)] : []),
    ...(result.soak ? ['', ...soakLines(result.soak)] : []),
    ...(result.overload ? ['', ...overloadLines(result.overload)] : []),
    ...(result.points.length > 0 ? ['', ...ratioLines(result)] : []),
    ...growthLines(result.points),
    ...costLines(result),
    '',
    ...verdictLines(result),
    '',
  ].join('\n');
}

function machineLine({ machine }: BenchResult): string {
  const { cores, processor, memory_gib, node, postgres, rabbitmq, holdfast } = machine;
  const parts = [
    `${cores} cores of ${processor}`,
    `${memory_gib} GiB`,
    `Node ${node}`,
    `Postgres ${postgres}`,
    `RabbitMQ ${rabbitmq}`,
  ];
  return `holdfast ${holdfast}  ·  ${parts.join('  ·  ')}`;
}

const BAR_WIDTH = 20;

const columns: [head: string, width: number, cell: (point: PointResult) => string][] = [
  ['orders/s', 10, ({ orders_per_second: rate }) => grouped(rate)],
  ['accepted/s', 12, ({ accepted_per_second: rate }) => (rate > 0 ? grouped(rate) : '')],
  ['answer p50', 12, ({ answer_ms }) => milliseconds(answer_ms?.p50)],
  ['p95', 8, ({ answer_ms }) => milliseconds(answer_ms?.p95)],
  ['p99', 8, ({ answer_ms }) => milliseconds(answer_ms?.p99)],
  ['decision p50', 14, ({ decision_ms }) => milliseconds(decision_ms?.p50)],
  ['p95', 8, ({ decision_ms }) => milliseconds(decision_ms?.p95)],
  ['p99', 8, ({ decision_ms }) => milliseconds(decision_ms?.p99)],
  ['', 18, ({ refused, broken }) => (refused + broken > 0 ? `${grouped(refused + broken)} not placed` : '')],
];

/** Bars of every family are of one scale, so that each can be held against each. */
function pointLines(points: PointResult[]): string[] {
  const most = Math.max(...points.map((point) => point.orders_per_second));
  const head = ''.padEnd(NAME_WIDTH + BAR_WIDTH) + columns.map(([name, width]) => name.padStart(width)).join('');
  const lines = points.flatMap((point, index) => {
    const isFirst = points[index - 1]?.family !== point.family;
    return [...(isFirst ? [`█ ${point.family.toUpperCase()}`] : []), pointLine(point, most)];
  });
  return [`${head.trimEnd()}   (latency in ms)`, ...lines];
}

function pointLine(point: PointResult, most: number): string {
  const cells = columns.map(([, width, cell]) => cell(point).padStart(width)).join('');
  return `  ${nameOf(point.setting).padEnd(NAME_WIDTH - 2)}${bar(point.orders_per_second, most)}${cells}`.trimEnd();
}

function bar(value: number, most: number): string {
  return '█'.repeat(Math.max(1, Math.round((value / most) * BAR_WIDTH))).padEnd(BAR_WIDTH);
}

function ratioLines({ ratios, goals, clients }: BenchResult): string[] {
  const named = new Map(goals.map((goal) => [goal.name, goal]));
  const lines = Object.entries(ratios)
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    .map(
      ([name, value]) =>
        `  ${markOf(named.get(name))} ${name.padEnd(32)}${figure(value).padStart(8)}${goalText(named.get(name))}`,
    );
  const head = `█ RATIOS at ${clients} clients, each within a set of rounds; drain_to_e2e is of medians, minutes apart`;
  return [head, ...lines];
}

function figure(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(2);
}

function markOf(goal: GoalResult | undefined): string {
  return goal === undefined || goal.met === null ? ' ' : goal.met ? '✓' : '✗';
}

function goalText(goal: GoalResult | undefined): string {
  if (goal?.at_least !== undefined) return `   at least ${goal.at_least}`;
  return goal?.at_most === undefined ? '' : `   at most ${goal.at_most}`;
}

/** The median of few ratios may lie elsewhere than the ratio of two medians, so all of them are shown. */
function growthLines(points: PointResult[]): string[] {
  const [empty] = pointsLike(points, 'growth', { preloaded: 0 });
  const grown = points.filter(({ family, setting }) => family === 'growth' && setting.preloaded !== 0);
  if (!empty) return [];
  const lines = grown.map(({ setting, orders_per_second: rate, rates }) => {
    const pairs = rates.map((rateOfSet, set) => (rateOfSet / empty.rates[set]!).toFixed(2));
    const cells = grouped(rate).padStart(10) + grouped(empty.orders_per_second).padStart(14);
    return `  ${nameOf(setting).padEnd(NAME_WIDTH - 2)}${cells}   ${pairs.join(' · ')}`;
  });
  const head = '█ GROWTH'.padEnd(NAME_WIDTH) + 'orders/s'.padStart(10) + 'after none'.padStart(14);
  return ['', `${head}   set by set`, ...lines];
}

function soakLines(soak: SoakFigures): string[] {
  const { minutes, sent_per_second, orders_per_second, answer_ms, decision_ms, trends, samples } = soak;
  const head = `█ SOAK  ${minutes} minutes at ${grouped(sent_per_second)} orders/s, of which ${grouped(orders_per_second)} were settled`;
  const looks = `    ${samples.taken} of ${samples.wanted} samples`;
  return [head, latencyLine('answer', answer_ms), latencyLine('decision', decision_ms), looks, ...trends.map(trendLine)];
}

function latencyLine(name: string, percentiles: Percentiles | undefined): string {
  return `    ${name.padEnd(24)}${percentiles ? latencyText(percentiles) : 'none'}`;
}

function latencyText({ p50, p95, p99 }: Percentiles): string {
  return `p50 ${milliseconds(p50)} · p95 ${milliseconds(p95)} · p99 ${milliseconds(p99)} ms`;
}

function overloadLines({ mark, steps, taken, drainSeconds, takenAfterwards }: OverloadResult): string[] {
  const head = `█ OVERLOAD  no inventory, BUSY from ${grouped(mark)} waiting orders on`;
  const lines = steps.map(({ taken, busy, waiting, answerMs }, index) => {
    const latency = answerMs ? latencyText(answerMs) : 'none was taken';
    const counts = `${grouped(taken).padStart(8)} taken ${grouped(busy).padStart(8)} busy ${grouped(waiting).padStart(9)} waiting`;
    return `  ${String(index + 1).padStart(3)} ${counts}   ${latency}`;
  });
  const end = `  ${grouped(taken)} were taken; all decided ${drainSeconds.toFixed(1)} s after inventory returned; then ${grouped(takenAfterwards)} more taken`;
  return [head, ...lines, end];
}

const steps = '▁▂▃▄▅▆▇█';

function trendLine({ name, median, most, per_minute, is_flat, course }: SoakFigures['trends'][number]): string {
  const picture = course.map((value) => steps[most > 0 ? Math.round((value / most) * (steps.length - 1)) : 0]).join('');
  const figures = `median ${grouped(median)}  most ${grouped(most)}  ${per_minute.toFixed(2)} a minute`;
  return `  ${is_flat ? '✓' : '✗'} ${name.padEnd(24)}${picture}  ${(is_flat ? 'flat' : 'grows').padEnd(5)}  ${figures}`;
}

function verdictLines({ verdict, broken, goals, soak, overload, failures, notices }: BenchResult): string[] {
  const known = goals.filter(({ met }) => met !== null);
  const promises = broken.length === 0 ? 'every promise held' : `${broken.length} promises were broken`;
  const reached = `${known.filter(({ met }) => met).length} of ${known.length} goals were reached`;
  const grown = soak && (soak.is_flat ? 'nothing grew' : 'something grew');
  const more = overload ? `BUSY began at ${grouped(overload.taken)} orders` : (grown ?? reached);
  return [
    `${verdict}: ${promises}; ${more}${failures.length > 0 ? '; the figures are worth nothing' : ''}`,
    ...broken.flatMap(({ site, promise, examples }) => [`  ✗ ${site}: ${promise}`, ...examples.map((line) => `      ${line}`)]),
    ...failures.map((failure) => `  ✗ ${failure}`),
    ...notices.map((notice) => `  ! ${notice}`),
  ];
}
