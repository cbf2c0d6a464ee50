import { grouped } from '../simulate/progress';
import { type Inspection } from './inspect';
import { type Ratio } from './ratios';
import { nameOf, type Measured, type Round } from './round';
import { type SoakResult } from './soak';

/** What went wrong with the measuring itself, sentence by sentence. */
export interface Flaws {
  /** With these the figures are worth nothing: the bench has failed. */
  failures: string[];
  /** These only have to be known. */
  notices: string[];
}

/** More orders than this that are refused or not answered, of a round, and it measured something else than orders. */
const UNPLACED_SHARE_MAX = 0.01;

export function flawsOf({ measured, soak, inspections, ratios }: Judged): Flaws {
  const named = measured.flatMap(({ family, setting, rounds }) =>
    rounds.map((round, index) => ({ round, name: `${family} ${nameOf(setting)}, round ${index + 1}` })),
  );
  const rounds = soak ? [...named, { round: soak.round, name: 'soak' }] : named;
  const unplaced = rounds.filter(({ round }) => round.refused + round.broken > 0);
  const isMany = ({ round }: Named) => unplacedShare(round) > UNPLACED_SHARE_MAX;
  return {
    failures: [
      ...unplaced.filter(isMany).map(unplacedText),
      ...rounds.filter(({ round }) => !(round.ordersPerSecond > 0)).map(({ name }) => `${name}: nothing was measured`),
      ...ratios.filter(({ value }) => Number.isNaN(value)).map(({ name }) => `${name}: a round of it has no such figure`),
      ...(soak ? seldomSampled(soak) : []),
    ],
    notices: [
      ...unplaced.filter((round) => !isMany(round)).map(unplacedText),
      ...inspections.flatMap(({ site, badEnds }) => badEnds.map((text) => `${site}: ${text}`)),
    ],
  };
}

interface Judged {
  measured: readonly Measured[];
  soak?: SoakResult;
  inspections: readonly Inspection[];
  ratios: readonly Ratio[];
}

interface Named {
  round: Round;
  name: string;
}

function unplacedShare({ orders, refused, broken }: Round): number {
  return (refused + broken) / (orders + refused + broken);
}

function unplacedText({ round, name }: Named): string {
  const { orders, refused, broken, refusal = 'without a word' } = round;
  const counts = `${grouped(refused)} were refused and ${grouped(broken)} not answered`;
  return `${name}: of ${grouped(orders + refused + broken)} orders ${counts}: ${refusal}`;
}

/** Without samples nothing grows. */
function seldomSampled({ samples: { wanted, taken, fault = 'none failed' } }: SoakResult): string[] {
  const needed = Math.max(SAMPLES_MIN, wanted / 2);
  return taken >= needed ? [] : [`soak: only ${taken} of ${wanted} samples of what could grow were taken (${fault})`];
}

const SAMPLES_MIN = 8;
