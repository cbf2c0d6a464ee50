import { type Undo } from '../../src/undo';
import { type LoadWorker } from './measure';
import { type BenchCommand } from './options';
import { type BenchProgress } from './progress';
import { type Measured } from './round';
import { type Servers } from './servers';

/** What every part of a bench works with. */
export interface Stage {
  command: BenchCommand;
  servers: Servers;
  load: LoadWorker;
  folder: string;
  undo: Undo;
  signal: AbortSignal;
  /** Rejects when the signal comes. */
  aborted: Promise<never>;
  progress: BenchProgress;
  /** All that was measured so far. */
  measured: Measured[];
  /** A word that no other round has. */
  tag: (family: string) => string;
}
