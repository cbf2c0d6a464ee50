import { UnconfirmedError } from '../broker';

/**
 * What `publish` waits for in process: `settled` resolves when all copies of a publication are settled, the dead ones included.
 * `count` is told when the publication begins and ends to be worked on; a dead letter is not worked on any more.
 */
export class Confirmation {
  readonly settled: Promise<void>;
  private dead = 0;
  private resolve!: () => void;
  private reject!: (error: Error) => void;

  constructor(
    private working: number,
    private readonly count: (change: 1 | -1) => void,
  ) {
    this.settled = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    if (working > 0) count(1);
  }

  settle(wasDead: boolean): void {
    if (wasDead) this.dead -= 1;
    else this.workDone();
    if (this.working === 0 && this.dead === 0) this.resolve();
  }

  die(): void {
    this.dead += 1;
    this.workDone();
  }

  abandon(): void {
    if (this.working > 0) this.count(-1);
    this.reject(new UnconfirmedError('the in-process broker was closed before the message was settled'));
  }

  private workDone(): void {
    this.working -= 1;
    if (this.working === 0) this.count(-1);
  }
}
