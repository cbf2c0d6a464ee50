import { stopAll, type TestSurroundings } from './globalSetup';

/** Stops what globalSetup started. */
export default function globalTeardown(): Promise<void> {
  return stopAll((globalThis as TestSurroundings).holdfastTestStops ?? []);
}
