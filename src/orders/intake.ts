import { type Doorway } from '../messaging';
import { type Logger, type Metrics } from '../observability';

/** Whether new orders are taken: while too many wait, who wants an answer is told to come back, and messages wait. */
export interface Intake extends Doorway {
  /** The first look is over when it resolves. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface IntakeOptions {
  /** So many orders may wait. */
  backlogMax: number;
  /** How many wait now. */
  backlog: () => Promise<number>;
  intervalMs: number;
  log: Logger;
  metrics: Metrics;
}

/**
 * Closes when the backlog has reached its mark, and opens when a fifth of it is worked off: an order that would wait behind fifty
 * thousand others is better told so, and a door that opened at the first free place would close again at once. It looks once in a
 * while and answers from what it saw, so it costs an order nothing, and lets in a little more than the mark. What cannot be seen
 * changes nothing: the door stays as it is.
 */
export function createIntake({ backlogMax, backlog, intervalMs, log, metrics }: IntakeOptions): Intake {
  const opensBelow = Math.ceil(backlogMax * REOPENS_AT);
  let open = true;
  let waiting: (() => void)[] = [];
  let looking = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function look() {
    const orders = await backlog().catch((error: unknown) => {
      log.debug({ err: error }, 'how many orders wait could not be seen');
      return undefined;
    });
    if (orders === undefined) return;
    metrics.intakeBacklog.set(orders);
    const wasOpen = open;
    open = open ? orders < backlogMax : orders < opensBelow;
    if (open !== wasOpen) log.warn({ orders, backlogMax }, open ? 'orders are taken again' : 'too many orders wait: BUSY');
    if (open) letIn();
  }

  function letIn() {
    const admitted = waiting;
    waiting = [];
    admitted.forEach((resolve) => resolve());
  }

  function schedule() {
    if (stopped) return;
    timer = setTimeout(() => {
      looking = look().finally(schedule);
    }, intervalMs).unref();
  }

  return {
    isOpen: () => open,
    room: () => (open ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    async start() {
      await look();
      schedule();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await looking;
      letIn();
    },
  };
}

const REOPENS_AT = 0.8;
