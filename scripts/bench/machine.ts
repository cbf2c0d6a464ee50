import { availableParallelism, cpus, totalmem } from 'node:os';

import { version } from '../../src/version';
import { type Servers } from './servers';

/** What the figures were taken on. */
export interface Machine {
  cores: number;
  processor: string;
  memory_gib: number;
  node: string;
  postgres: string;
  rabbitmq: string;
  holdfast: string;
}

export async function describeMachine({ postgres, rabbitmq }: Servers): Promise<Machine> {
  return {
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memory_gib: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    postgres: postgres.version,
    rabbitmq: (await rabbitmq.control('version')).trim(),
    holdfast: version,
  };
}
