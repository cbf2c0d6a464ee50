import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { startNeighbour, type Neighbour, type NeighbourOptions, type NeighbourOutcome, type Part } from './neighbour';

/**
 * The neighbour in a thread of its own, with a clock of its own: what keeps this process busy, ten megabytes of a request to be
 * written for one, would otherwise look as if the gateway were late.
 */
export function startNeighbourThread(options: NeighbourOptions): Neighbour {
  const thread = new Worker(__filename, { workerData: options });
  const broken = new Promise<never>((_, reject) => thread.once('error', reject));
  broken.catch(() => undefined);
  return {
    enter: (part) => thread.postMessage(part),
    async stop() {
      thread.postMessage('stop');
      const [outcome] = (await Promise.race([once(thread, 'message'), broken])) as [NeighbourOutcome];
      await thread.terminate();
      return outcome;
    },
  };
}

/** The other end. */
function serve(): void {
  const neighbour = startNeighbour(workerData as NeighbourOptions);
  parentPort!.on('message', (word: Part | 'stop') => {
    if (word !== 'stop') return neighbour.enter(word);
    void neighbour.stop().then((outcome) => parentPort!.postMessage(outcome));
  });
}

if (!isMainThread) serve();
