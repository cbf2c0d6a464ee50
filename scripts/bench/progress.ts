import { SingleBar } from 'cli-progress';

import { grouped } from '../simulate/progress';
import { nameOf, type Point, type Round } from './round';

/** What a bench shows of itself while it runs: a bar on a terminal, a line for each round elsewhere. */
export interface BenchProgress {
  /** So many more rounds are to come. */
  expect(rounds: number): void;
  begin(point: Point, set: number): void;
  end(point: Point, round: Round): void;
  /** Something that takes long and is no round. */
  note(text: string): void;
  stop(): void;
}

export function startProgress(stream: NodeJS.WriteStream): BenchProgress {
  return stream.isTTY ? bar(stream) : lines(stream);
}

function bar(stream: NodeJS.WriteStream): BenchProgress {
  const format = '{bar} {value}/{total}  {what}';
  const look = { barCompleteChar: '█', barIncompleteChar: '░', barsize: 24, hideCursor: true, clearOnComplete: true };
  const single = new SingleBar({ ...look, format, stream, gracefulExit: false, forceRedraw: true });
  single.start(0, 0, { what: '' });
  let what = 'starting';
  const show = (text: string) => single.update({ what: (what = text) });
  return {
    expect: (rounds) => single.setTotal(single.getTotal() + rounds),
    begin: ({ family, setting }, set) => show(`set ${set}: ${family} ${nameOf(setting)}`),
    end: (_, { ordersPerSecond }) => single.increment({ what: `${what}: ${grouped(ordersPerSecond)}/s` }),
    note: show,
    stop: () => single.stop(),
  };
}

function lines(stream: NodeJS.WriteStream): BenchProgress {
  let [done, total] = [0, 0];
  return {
    expect: (rounds) => void (total += rounds),
    begin: () => undefined,
    end({ family, setting }, { ordersPerSecond, acceptedPerSecond, refused, broken, refusal }) {
      const rates = `${grouped(ordersPerSecond)}/s, accepted ${grouped(acceptedPerSecond)}/s`;
      const counts = `${grouped(refused)} refused, ${grouped(broken)} not answered: ${refusal}`;
      const unplaced = refused + broken > 0 ? `, ${counts}` : '';
      stream.write(`${++done}/${total} ${family} ${nameOf(setting)}: ${rates}${unplaced}\n`);
    },
    note: (text) => void stream.write(`${text}\n`),
    stop: () => undefined,
  };
}
