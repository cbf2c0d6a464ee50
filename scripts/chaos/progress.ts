import { type Struck } from './faults';
import { type Standing } from '../simulate/decisions';
import { grouped, type Progress } from '../simulate/progress';

export interface ChaosProgressOptions {
  seed: number;
  orders: number;
  faults: number;
  placed: () => number;
  log: readonly Struck[];
  standing: () => Promise<Standing>;
  stream: NodeJS.WriteStream;
}

const BAR_WIDTH = 24;

/** One line that is redrawn on a terminal; a line every ten seconds elsewhere. */
export function startChaosProgress(options: ChaosProgressOptions): Progress {
  const { stream } = options;
  let standing: Standing | undefined;
  const draw = async () => {
    standing = await options.standing().catch(() => standing);
    stream.write(stream.isTTY ? `\r\x1b[2K${line(options, standing)}` : `${line(options, standing)}\n`);
  };
  const timer = setInterval(() => void draw(), stream.isTTY ? 500 : 10_000);
  return {
    async stop() {
      clearInterval(timer);
      await draw();
      if (stream.isTTY) stream.write('\n');
    },
  };
}

function line({ seed, orders, faults, placed, log }: ChaosProgressOptions, standing: Standing | undefined): string {
  const done = Math.round((placed() / orders) * BAR_WIDTH);
  const bar = `${'█'.repeat(done)}${'░'.repeat(BAR_WIDTH - done)}`;
  const counts = standing ? `in flight ${grouped(standing.pending)}` : 'the database is away';
  const last = log.at(-1);
  const fault = last ? `${last.name}${last.detail === 'under way' ? '' : ` (${last.detail})`}` : 'none yet';
  return `seed ${seed}  ${bar} ${grouped(placed())}/${grouped(orders)} orders  ${counts}  fault ${log.length}/${faults}: ${fault}`;
}
