/** A step of an order, as its context tells of it. */
interface Step {
  position: bigint;
  orderId: string;
  customerId: string;
  version: number;
  event: string;
  toStatus: string;
  detail: string | null;
  at: Date;
}

/** A movement of stock, as its context tells of it. */
interface Movement {
  position: bigint;
  productId: number;
  kind: string;
  onHandDelta: number;
  reservedDelta: number;
  orderId: string | null;
  at: Date;
}

interface FollowOptions {
  after?: bigint;
  onBegin?: (at: bigint) => void;
  signal: AbortSignal;
}

/** Where happenings are heard of. */
export interface EventSources {
  steps: (filter: object, options: FollowOptions) => AsyncGenerator<Step>;
  movements: (options: FollowOptions) => AsyncGenerator<Movement>;
}

/** How far both sources have been heard of. */
export interface EventPositions {
  step: bigint;
  movement: bigint;
}

export type Happening = ({ type: 'step' } & Step) | ({ type: 'movement' } & Movement);

/**
 * What happens in the shop: the steps of all orders and the movements of all stock, each once, those of one order and those of one
 * product in their order. Each comes with how far both have been heard of, so that it can be gone on from there. A source is asked for
 * its next when the one before was taken.
 */
export async function* followEvents(
  sources: EventSources,
  { after, signal }: { after?: EventPositions; signal: AbortSignal },
): AsyncGenerator<{ happening: Happening; positions: EventPositions }> {
  const offers: { happening: Happening; taken: () => void }[] = [];
  const positions: Partial<EventPositions> = {};
  let [wake, isOver]: [() => void, boolean] = [() => undefined, false];
  let failure: { error: unknown } | undefined;

  const from = (type: keyof EventPositions): FollowOptions => ({
    ...{ after: after?.[type], signal },
    onBegin: (at) => {
      positions[type] = at;
      wake();
    },
  });
  const offer = async <News extends object>(source: AsyncGenerator<News>, toHappening: (news: News) => Happening) => {
    for await (const news of source) {
      if (isOver) return;
      await new Promise<void>((taken) => {
        offers.push({ happening: toHappening(news), taken });
        wake();
      });
    }
  };
  const offering = [
    offer(sources.steps({}, from('step')), (step) => ({ type: 'step', ...step })),
    offer(sources.movements(from('movement')), (movement) => ({ type: 'movement', ...movement })),
  ];
  const end = () => {
    isOver = true;
    wake();
  };
  Promise.all(offering).then(end, (error: unknown) => {
    failure = { error };
    end();
  });

  try {
    while (!isOver) {
      const { step, movement } = positions;
      // Nobody can go on from a place that is not known yet.
      const next = step === undefined || movement === undefined ? undefined : offers.shift();
      if (next) {
        const { happening, taken } = next;
        positions[happening.type] = happening.position;
        yield { happening, positions: { ...positions } as EventPositions };
        taken();
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
    if (failure) throw failure.error;
  } finally {
    isOver = true;
    for (const { taken } of offers) taken();
  }
}
