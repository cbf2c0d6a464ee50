import { refuseToGoOn } from './interruption';
import { nameOf, type Family, type Measured, type Point } from './round';
import { type Stage } from './stage';

/**
 * Rounds that count for nothing: the first of a process finds its code not yet compiled, and the roles, which have much more of it
 * than a bare Apollo, take some ten thousand orders until all that is hot is compiled for good.
 */
export async function warm(stage: Stage, points: Point[]): Promise<void> {
  for (const point of points) {
    const rounds = throughRoles.includes(point.family) ? WARM_ROUNDS : 1;
    for (let round = 1; round <= rounds; round++) {
      refuseToGoOn(stage.signal);
      stage.progress.note(`warming up: ${point.family} ${nameOf(point.setting)}`);
      await point.run();
    }
  }
}

const throughRoles: Family[] = ['e2e', 'embedded', 'growth'];
const WARM_ROUNDS = 5;

/**
 * Measures every point once, then every point again: a machine that grows slower or faster meanwhile does so for all of them, and a
 * ratio of two points of one set is of the same minutes.
 */
export async function alternate(stage: Stage, points: Point[], rounds: number): Promise<void> {
  const measured = points.map(({ family, setting }): Measured => ({ family, setting, rounds: [] }));
  stage.measured.push(...measured);
  stage.progress.expect(points.length * rounds);
  for (let set = 1; set <= rounds; set++) {
    for (const [index, point] of points.entries()) {
      refuseToGoOn(stage.signal);
      stage.progress.begin(point, set);
      const round = await point.run();
      measured[index]!.rounds.push(round);
      stage.progress.end(point, round);
    }
  }
}
