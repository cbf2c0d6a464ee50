import { MultiBar } from 'cli-progress';

import { type Standing } from './decisions';

/** What a run shows of itself while it runs: on stderr, so that stdout holds nothing but the result. */
export interface Progress {
  stop(): Promise<void>;
}

export interface ProgressOptions {
  orders: number;
  /** How many of them come over GraphQL, and so can be seen being decided. */
  ordersSeen: number;
  /** Orders answered so far. */
  placed: () => number;
  standing: () => Promise<Standing>;
  stream: NodeJS.WriteStream;
}

/** Bars on a terminal, a line every few seconds elsewhere. */
export function startProgress(options: ProgressOptions): Progress {
  const show = options.stream.isTTY ? bars(options) : lines(options);
  const startedAt = performance.now();
  // The pace is that of placing: once all are placed it stands, while the last decisions are waited for.
  let placingSeconds = 0;
  let isPlacing = true;
  let stopped = false;
  let wake = () => {};
  const running = (async () => {
    while (!stopped) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, show.everyMs);
        wake = () => (clearTimeout(timer), resolve());
      });
      await update();
    }
  })();

  async function update() {
    const standing = await options.standing().catch(() => undefined);
    if (isPlacing || placingSeconds === 0) placingSeconds = (performance.now() - startedAt) / 1_000;
    isPlacing = options.placed() < options.orders;
    if (standing) show.update(standing, placingSeconds);
  }

  return {
    async stop() {
      stopped = true;
      wake();
      await running;
      show.end();
    },
  };
}

interface Show {
  everyMs: number;
  update: (standing: Standing, seconds: number) => void;
  end: () => void;
}

function bars({ orders, ordersSeen, placed, stream }: ProgressOptions): Show {
  const format = '{name} {bar} {value}/{total}  {detail}';
  const look = { barCompleteChar: '█', barIncompleteChar: '░', barsize: 24, hideCursor: true };
  const multi = new MultiBar({ ...look, format, stream, formatValue: inGroups, gracefulExit: false, forceRedraw: true });
  const placing = multi.create(orders, 0, { name: 'orders ', detail: '' });
  const deciding = multi.create(ordersSeen, 0, { name: 'decided', detail: '' });
  return {
    everyMs: 500,
    update(standing, seconds) {
      const perSecond = placed() / seconds;
      const eta = perSecond > 0 ? Math.ceil((orders - placed()) / perSecond) : 0;
      placing.update(placed(), { detail: `${grouped(perSecond)}/s  eta ${eta} s` });
      const { confirmed, cancelled, pending } = standing;
      const detail = `confirmed ${grouped(confirmed)}  cancelled ${grouped(cancelled)}  in flight ${grouped(pending)}`;
      deciding.update(confirmed + cancelled, { detail });
    },
    end: () => multi.stop(),
  };
}

function lines({ orders, placed, stream }: ProgressOptions): Show {
  return {
    everyMs: 3_000,
    update({ confirmed, cancelled, pending }, seconds) {
      const done = `${grouped(placed())}/${grouped(orders)} orders placed, ${grouped(placed() / seconds)}/s`;
      stream.write(`${done}; confirmed ${grouped(confirmed)}, cancelled ${grouped(cancelled)}, in flight ${grouped(pending)}\n`);
    },
    end: () => undefined,
  };
}

function inGroups(value: unknown): string {
  return typeof value === 'number' ? grouped(value) : String(value);
}

export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
