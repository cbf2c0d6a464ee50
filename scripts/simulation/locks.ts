import { type Happening, type Scheduler, type SimulatedProcess } from './scheduler';
import { sqlFault } from './sqlFaults';

/** As Holdfast's pool asks of Postgres. */
const LOCK_TIMEOUT_MS = 5_000;

/** Locks by name. Whoever wants one that is held waits in line; a circle of waiting and too long a wait are errors, as in Postgres. */
export class Locks<Owner> {
  private readonly lines = new Map<string, Line<Owner>>();
  private readonly waits = new Map<Owner, Wait<Owner>>();
  private readonly held = new Map<Owner, string[]>();

  constructor(
    private readonly scheduler: Scheduler,
    private readonly server: SimulatedProcess,
  ) {}

  async take(owner: Owner, name: string): Promise<void> {
    const line = this.lines.get(name);
    if (!line || line.holder === owner) return this.grant(owner, name);
    if (this.isCircle(owner, line)) throw sqlFault('40P01');
    this.scheduler.note(`database: waits for ${name}`);
    await new Promise<void>((resolve, reject) => {
      const timeout = this.scheduler.at(LOCK_TIMEOUT_MS, this.server, 'lock timeout', () =>
        this.giveUp(owner, sqlFault('55P03')),
      );
      const wait = { owner, line, timeout, resolve, reject };
      line.waiting.push(wait);
      this.waits.set(owner, wait);
    });
  }

  takeIfFree(owner: Owner, name: string): boolean {
    const line = this.lines.get(name);
    if (line && line.holder !== owner) return false;
    this.grant(owner, name);
    return true;
  }

  isHeld(owner: Owner, name: string): boolean {
    return this.lines.get(name)?.holder === owner;
  }

  /** Ends the holding and the waiting of one; whoever is next in a line goes on. */
  releaseAll(owner: Owner, why: Error): void {
    this.giveUp(owner, why);
    const names = this.held.get(owner) ?? [];
    this.held.delete(owner);
    for (const name of names) this.passOn(name);
  }

  private grant(owner: Owner, name: string): void {
    if (this.isHeld(owner, name)) return;
    const line = this.lines.get(name);
    if (line) line.holder = owner;
    else this.lines.set(name, { holder: owner, waiting: [] });
    const names = this.held.get(owner);
    if (names) names.push(name);
    else this.held.set(owner, [name]);
  }

  private passOn(name: string): void {
    const line = this.lines.get(name)!;
    const next = line.waiting.shift();
    if (!next) return void this.lines.delete(name);
    this.waits.delete(next.owner);
    next.timeout.work = undefined;
    this.grant(next.owner, name);
    next.resolve();
  }

  private giveUp(owner: Owner, why: Error): void {
    const wait = this.waits.get(owner);
    if (!wait) return;
    this.waits.delete(owner);
    wait.timeout.work = undefined;
    wait.line.waiting = wait.line.waiting.filter((other) => other !== wait);
    wait.reject(why);
  }

  /** Whoever waits, waits for the holder and for all who stand before it in the line. */
  private isCircle(owner: Owner, line: Line<Owner>): boolean {
    const ahead = [line.holder, ...line.waiting.map((wait) => wait.owner)];
    const seen = new Set<Owner>();
    for (const other of ahead) {
      if (other === owner) return true;
      const next = seen.has(other) ? undefined : this.waits.get(other)?.line;
      seen.add(other);
      if (next) ahead.push(next.holder, ...next.waiting.map((wait) => wait.owner));
    }
    return false;
  }
}

interface Line<Owner> {
  holder: Owner;
  waiting: Wait<Owner>[];
}

interface Wait<Owner> {
  owner: Owner;
  line: Line<Owner>;
  timeout: Happening;
  resolve: () => void;
  reject: (error: Error) => void;
}
