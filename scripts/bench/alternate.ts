import { refuseToGoOn } from './interruption';
import { nameOf, type Family, type Measured, type Point } from './round';
import { type Stage } from './stage';

/** Rounds that count for nothing. */
export async function warm(stage: Stage, points: Point[]): Promise<void> {
  for (const point of points) {
    for (let round = 1; round <= warmUpRounds[point.family]; round++) {
      refuseToGoOn(stage.signal);
      stage.progress.note(`warming up: ${point.family} ${nameOf(point.setting)}`);
      await point.run();
    }
  }
}

/**
 * The first round of a process finds its code not yet compiled, and the roles, which have much more of it than a bare Apollo, take some
 * ten thousand orders until all that is hot is compiled for good. What comes after end to end, through the same roles, has less left
 * to warm, and a paced round nothing. A drain begins with a worker that was just started: that is what it measures.
 */
const warmUpRounds: Record<Family, number> = {
  ...{ ceiling: 1, floor: 1 },
  ...{ e2e: 5, embedded: 5, growth: 5 },
  ...{ bulk: 2, intake: 2, paced: 0, drain: 0 },
};

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
