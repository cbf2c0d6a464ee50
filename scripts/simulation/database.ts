import { type Database, type Transaction } from '../../src/database';
import { createBooks, type Books, type Table } from './books';
import { Locks } from './locks';
import { type SimulatedProcess, aProcess, type Scheduler } from './scheduler';
import { lostConnection, shuttingDown, sqlFault, unreachable } from './sqlFaults';
import { EPOCH_MS } from './virtualTime';

/** How often, of all round trips, the database fails in which way; and how long an answer takes. */
export interface DatabaseFaults {
  serialization: number;
  deadlock: number;
  /** The connection is lost, and nothing was committed. */
  lostBeforeCommit: number;
  /** The connection is lost, and all was committed: the two look the same. */
  ambiguousCommit: number;
  latencyMaxMs: number;
}

/**
 * A database in memory that keeps the promises Holdfast builds on, and no more: statements see what is committed and what their
 * own transaction wrote; rows are locked until the end, and whoever wants one waits in line; a circle of waiting is a deadlock;
 * a commit is all or nothing. Between a process and the database lies a network: every statement is a round trip.
 */
export class SimulatedDatabase {
  readonly server: SimulatedProcess = aProcess('database');
  readonly books: Books = createBooks();
  readonly locks: Locks<Session>;
  readonly sessions = new Set<Session>();
  isDown = false;
  faults: DatabaseFaults = calm;
  /** Hears of every commit that changed something. */
  onCommit: () => void = () => undefined;
  private positions = 0n;

  constructor(
    readonly scheduler: Scheduler,
    private readonly count: (fault: keyof DatabaseFaults) => void,
  ) {
    this.locks = new Locks(scheduler, this.server);
  }

  /** The database's own clock, which no process can put back. */
  get nowMs(): number {
    return EPOCH_MS + this.scheduler.nowMs;
  }

  /** What the product takes for Prisma's client; its statements are those of `rows/`. */
  connect(client: SimulatedProcess): Database {
    const connection: Connection = { database: this, client };
    return {
      ...connection,
      $transaction: <T>(work: (tx: Transaction) => Promise<T>) => this.transact(connection, work),
    } as never;
  }

  /** Given out once and never again, whatever becomes of the transaction: so they are not committed in their order. */
  nextPosition(): bigint {
    return (this.positions += 1n);
  }

  /** What a dead or silent process had under way is rolled back. */
  endSessionsOf(client: SimulatedProcess): void {
    for (const session of this.sessions) if (session.client === client) this.end(session, lostConnection());
  }

  goDown(): void {
    this.isDown = true;
    for (const session of this.sessions) this.end(session, shuttingDown());
  }

  /** True when somebody has written what is not committed yet. */
  isWriting(): boolean {
    return [...this.sessions].some((session) => session.changes.size > 0);
  }

  private async transact<T>({ client }: Connection, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const session = new Session(this, client);
    try {
      const result = await work({ database: this, session } satisfies OpenTransaction as never);
      await this.roundTrip(session, 'commit', () => this.commit(session));
      return result;
    } catch (error) {
      await this.roundTrip(session, 'rollback', () => this.end(session)).catch(() => undefined);
      throw error;
    }
  }

  /** One statement by itself commits as it ends. */
  async statement<T>(on: Connection | OpenTransaction, name: string, work: Statement<T>): Promise<T> {
    if ('session' in on) return this.roundTrip(on.session, name, () => on.session.run(work));
    return this.transact(on, (tx) => this.statement(tx as unknown as OpenTransaction, name, work));
  }

  private roundTrip<T>(session: Session, name: string, work: () => T | Promise<T>): Promise<T> {
    const { scheduler, server } = this;
    const latencyMs = () => scheduler.between(0.05, this.faults.latencyMaxMs);
    return new Promise((resolve, reject) => {
      // What a dead process would still send is not sent.
      if (!session.client.isAlive) return;
      const answer = (settle: () => void) => scheduler.at(latencyMs(), session.client, `${name} answered`, settle);
      scheduler.at(latencyMs(), server, `${name} of ${session.client.name}`, () => {
        this.served(session, name, work).then(
          (value) => answer(() => resolve(value)),
          (error: Error) => answer(() => reject(error)),
        );
      });
    });
  }

  private async served<T>(session: Session, name: string, work: () => T | Promise<T>): Promise<T> {
    if (this.isDown) throw this.broken(session, unreachable());
    if (name !== 'rollback') this.strike(session, name === 'commit');
    return work();
  }

  private strike(session: Session, isCommit: boolean): void {
    const { faults, scheduler } = this;
    if (this.strikes('serialization', faults.serialization)) throw this.broken(session, sqlFault('40001'));
    if (!isCommit && this.strikes('deadlock', faults.deadlock)) throw this.broken(session, sqlFault('40P01'));
    if (this.strikes('lostBeforeCommit', faults.lostBeforeCommit)) throw this.broken(session, lostConnection());
    if (!isCommit || session.changes.size === 0 || !scheduler.chance(faults.ambiguousCommit)) return;
    this.commit(session);
    this.count('ambiguousCommit');
    throw lostConnection();
  }

  private strikes(fault: keyof DatabaseFaults, probability: number): boolean {
    if (!this.scheduler.chance(probability)) return false;
    this.count(fault);
    return true;
  }

  private commit(session: Session): void {
    session.refuseIfEnded();
    if (session.failed) throw session.failed;
    for (const [table, rows] of session.changes) for (const [key, row] of rows) table.put(key, row);
    if (session.changes.size > 0) this.onCommit();
    this.end(session);
  }

  /** The session is over, and this is why. */
  private broken(session: Session, why: Error): Error {
    this.end(session, why);
    return why;
  }

  private end(session: Session, why: Error = isOver): void {
    session.ended ??= why;
    this.sessions.delete(session);
    this.locks.releaseAll(session, session.ended);
  }
}

/** One for all: a stack of its own for every transaction would cost more than the transaction. */
const isOver = new Error('This transaction is over.');

/** How the handle of the product finds back to the database. */
export interface Connection {
  database: SimulatedDatabase;
  client: SimulatedProcess;
}

export interface OpenTransaction {
  database: SimulatedDatabase;
  session: Session;
}

export type Statement<T> = (session: Session) => T | Promise<T>;

/** Runs a statement for the product, which holds either a database or a transaction. */
export function statement<T>(on: unknown, name: string, work: Statement<T>): Promise<T> {
  const handle = on as Connection | OpenTransaction;
  return handle.database.statement(handle, name, work);
}

/** One transaction, as the server sees it. */
export class Session {
  readonly changes = new Map<Table<unknown>, Map<string, unknown>>();
  /** A statement failed: nothing but a rollback is possible any more. */
  failed: Error | undefined;
  ended: Error | undefined;

  constructor(
    readonly database: SimulatedDatabase,
    readonly client: SimulatedProcess,
  ) {
    database.sessions.add(this);
  }

  get books(): Books {
    return this.database.books;
  }

  /** Two in one transaction come one after the other, as on one connection. */
  async run<T>(work: Statement<T>): Promise<T> {
    this.refuseIfEnded();
    if (this.failed) throw sqlFault('25P02');
    try {
      return await work(this);
    } catch (error) {
      this.failed = error as Error;
      throw error;
    }
  }

  get<Row>(table: Table<Row>, key: string): Row | undefined {
    const changed = this.changes.get(table);
    return changed?.has(key) ? (changed.get(key) as Row | undefined) : table.get(key);
  }

  /** Every row that this transaction sees. */
  all<Row>(table: Table<Row>): Row[] {
    const changed = this.changes.get(table);
    if (!changed) return [...table.values()];
    const keys = new Set([...table.keys(), ...changed.keys()]);
    return [...keys].flatMap((key) => this.get(table, key) ?? []);
  }

  /** Locks a row until the end of the transaction, and reads what it is then. */
  async lock<Row>(table: Table<Row>, key: string): Promise<Row | undefined> {
    await this.database.locks.take(this, lockOf(table, key));
    this.refuseIfEnded();
    return this.get(table, key);
  }

  /** SKIP LOCKED: the row, or undefined when there is none or somebody has it. */
  lockIfFree<Row>(table: Table<Row>, key: string): Row | undefined {
    return this.database.locks.takeIfFree(this, lockOf(table, key)) ? this.get(table, key) : undefined;
  }

  advisoryLock(name: string): Promise<void> {
    return this.database.locks.take(this, name);
  }

  /** Writes a row that is locked already; undefined removes it. */
  put<Row>(table: Table<Row>, key: string, row: Row | undefined): void {
    if (!this.database.locks.isHeld(this, lockOf(table, key)))
      throw new Error(`${lockOf(table, key)} is written without its lock`);
    const changed = this.changes.get(table) ?? new Map<string, unknown>();
    this.changes.set(table, changed.set(key, row));
  }

  refuseIfEnded(): void {
    if (this.ended) throw this.ended;
  }
}

function lockOf(table: Table<never> | Table<unknown>, key: string): string {
  return `${table.name} ${key}`;
}

const calm: DatabaseFaults = { serialization: 0, deadlock: 0, lostBeforeCommit: 0, ambiguousCommit: 0, latencyMaxMs: 1 };
