import { SingleBar } from 'cli-progress';

import { grouped } from '../simulate/progress';

/** What one attack shows of itself, on stderr. */
export interface AttackProgress {
  /** `total` may grow: how much there is to settle is known only when all is sent. */
  update(done: number, total: number): void;
  stop(): void;
}

/** A bar on a terminal, a line every few seconds elsewhere. */
export function startProgress(name: string, stream: NodeJS.WriteStream): AttackProgress {
  if (!stream.isTTY) return lines(name, stream);
  const bar = new SingleBar({
    ...{ stream, hideCursor: true, gracefulExit: false, barsize: 32, barCompleteChar: '█', barIncompleteChar: '░' },
    format: `${name.padEnd(8)} {bar} {value}/{total}  {duration} s  eta {eta} s`,
  });
  bar.start(1, 0);
  return {
    update(done, total) {
      bar.setTotal(Math.max(1, total));
      bar.update(Math.min(done, total));
    },
    stop: () => bar.stop(),
  };
}

const LINE_EVERY_MS = 5_000;

function lines(name: string, stream: NodeJS.WriteStream): AttackProgress {
  let [lastAt, last] = [performance.now(), ''];
  const write = () => void stream.write(`${last}\n`);
  return {
    update(done, total) {
      last = `${name}: ${grouped(done)} of ${grouped(total)}`;
      if (performance.now() - lastAt < LINE_EVERY_MS) return;
      lastAt = performance.now();
      write();
    },
    stop: write,
  };
}
