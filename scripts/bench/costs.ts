import { grouped } from '../simulate/progress';
import { milliseconds, NAME_WIDTH } from './layout';
import { type BenchResult, type PointResult } from './result';
import { nameOf, type Family } from './round';

/** What an order costs each process, and what each part holds. */
export function costLines({ points, peak_rss_mib }: BenchResult): string[] {
  return [...processorLines(points.filter(({ family }) => shown.includes(family))), ...peakLines(peak_rss_mib)];
}

const shown: Family[] = ['e2e', 'paced', 'drain'];
const CELL_WIDTH = 11;

function processorLines(points: PointResult[]): string[] {
  if (points.length === 0) return [];
  const parts = [...new Set(points.flatMap(({ cpu_ms_per_order }) => Object.keys(cpu_ms_per_order)))];
  const head = '█ PROCESSOR MS for each order'.padEnd(NAME_WIDTH) + [...parts, 'all'].map(inCell).join('');
  return ['', head, ...points.map((point) => processorLine(point, parts))];
}

function processorLine({ family, setting, cpu_ms_per_order: costs }: PointResult, parts: string[]): string {
  const all = Object.values(costs).reduce((sum, ms) => sum + ms, 0);
  const cells = [...parts.map((part) => costs[part]), all].map((ms) => inCell(milliseconds(ms, 3)));
  return `  ${`${family} ${nameOf(setting)}`.padEnd(NAME_WIDTH - 2)}${cells.join('')}`;
}

function inCell(text: string): string {
  return text.padStart(CELL_WIDTH);
}

function peakLines(peaks: BenchResult['peak_rss_mib']): string[] {
  const sites = Object.entries(peaks).map(([site, parts]) => {
    const held = Object.entries(parts).map(([part, mebibytes]) => `${part} ${grouped(mebibytes)}`);
    return `  ${site.padEnd(NAME_WIDTH - 2)}${held.join('  ')}`;
  });
  return sites.length === 0 ? [] : ['', '█ PEAK MEMORY in MiB, of Postgres the most right after a round', ...sites];
}
