import { grouped } from '../simulate/progress';
import { type Percentiles } from '../simulate/report';
import { type OverloadResult } from './overload';
import { type BenchResult, type GoalResult, type PointResult, type SoakFigures } from './result';
import { nameOf } from './round';

/** The result for people: a bar for every point, then the ratios, then what it cost. */
export function report(result: BenchResult): string {
  return [
    '',
    machineLine(result),
    ...(result.points.length > 0 ? ['', ...pointLines(result.points)] : []),
    ...(result.soak ? ['', ...soakLines(result.soak)] : []),
    ...(result.overload ? ['', ...overloadLines(result.overload)] : []),
    ...(result.points.length > 0 ? ['', ...ratioLines(result)] : []),
    ...costLines(result),
    ...peakLines(result),
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

const NAME_WIDTH = 42;
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
  ['', 16, ({ refused }) => (refused > 0 ? `${grouped(refused)} refused` : '')],
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

function milliseconds(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(1);
}

function ratioLines({ ratios, goals, clients }: BenchResult): string[] {
  const named = new Map(goals.map((goal) => [goal.name, goal]));
  const lines = Object.entries(ratios)
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number')
    .map(
      ([name, value]) =>
        `  ${markOf(named.get(name))} ${name.padEnd(32)}${value.toFixed(2).padStart(8)}${goalText(named.get(name))}`,
    );
  return [`█ RATIOS at ${clients} clients, each within a set of rounds`, ...lines];
}

function markOf(goal: GoalResult | undefined): string {
  return goal === undefined || goal.met === null ? ' ' : goal.met ? '✓' : '✗';
}

function goalText(goal: GoalResult | undefined): string {
  if (goal?.at_least !== undefined) return `   at least ${goal.at_least}`;
  return goal?.at_most === undefined ? '' : `   at most ${goal.at_most}`;
}

function costLines({ ratios }: BenchResult): string[] {
  const costs = Object.entries(ratios.cpu_ms_per_order);
  if (costs.length === 0) return [];
  const most = Math.max(...costs.map(([, ms]) => ms));
  const lines = costs.map(([part, ms]) => `  ${part.padEnd(NAME_WIDTH - 2)}${bar(ms, most)}${ms.toFixed(3).padStart(10)}`);
  return ['', '█ PROCESSOR SECONDS for 1,000 single-line orders, uniform', ...lines];
}

function peakLines({ peak_rss_mib }: BenchResult): string[] {
  const sites = Object.entries(peak_rss_mib).map(([site, parts]) => {
    const held = Object.entries(parts).map(([part, mebibytes]) => `${part} ${grouped(mebibytes)}`);
    return `  ${site.padEnd(NAME_WIDTH - 2)}${held.join('  ')}`;
  });
  return sites.length === 0 ? [] : ['', '█ PEAK MEMORY in MiB', ...sites];
}

function soakLines({ minutes, sent_per_second, orders_per_second, answer_ms, decision_ms, trends }: SoakFigures): string[] {
  const head = `█ SOAK  ${minutes} minutes at ${grouped(sent_per_second)} orders/s, of which ${grouped(orders_per_second)} were settled`;
  return [head, latencyLine('answer', answer_ms), latencyLine('decision', decision_ms), ...trends.map(trendLine)];
}

function latencyLine(name: string, percentiles: Percentiles | undefined): string {
  const { p50, p95, p99 } = percentiles ?? {};
  return `    ${name.padEnd(24)}p50 ${milliseconds(p50)} · p95 ${milliseconds(p95)} · p99 ${milliseconds(p99)} ms`;
}

function overloadLines({ mark, steps, taken, drainSeconds, takenAfterwards }: OverloadResult): string[] {
  const head = `█ OVERLOAD  no inventory, BUSY from ${grouped(mark)} waiting orders on`;
  const lines = steps.map(({ taken, busy, waiting, answerMs: { p50, p95, p99 } }, index) => {
    const latency = `p50 ${milliseconds(p50)} · p95 ${milliseconds(p95)} · p99 ${milliseconds(p99)} ms`;
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

function verdictLines({ verdict, broken, goals, soak, overload }: BenchResult): string[] {
  const known = goals.filter(({ met }) => met !== null);
  const promises = broken.length === 0 ? 'every promise held' : `${broken.length} promises were broken`;
  const reached = `${known.filter(({ met }) => met).length} of ${known.length} goals were reached`;
  const grown = soak && (soak.is_flat ? 'nothing grew' : 'something grew');
  const more = overload ? `BUSY began at ${grouped(overload.taken)} orders` : (grown ?? reached);
  return [
    `${verdict}: ${promises}; ${more}`,
    ...broken.flatMap(({ site, promise, examples }) => [`  ✗ ${site}: ${promise}`, ...examples.map((line) => `      ${line}`)]),
  ];
}
