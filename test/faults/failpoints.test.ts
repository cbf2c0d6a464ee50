import { once } from 'node:events';

import { armFailpoints, failpoint, failpointAfterSending, failpoints } from '../../src/faults';
import { arm } from '../../src/faults/failpoints';
import { InjectedFault } from '../../src/faults/actions';
import { startChild, type Child } from '../support/child';
import { startHoldfast } from '../support/holdfastProcess';

/** What is armed here fails this very process: only throws and short delays are performed in it, the rest in children. */
afterEach(() => arm([]));

describe('off, as it is by default', () => {
  it('nothing happens at any point, at next to no cost', () => {
    for (const { name } of failpoints) failpoint(name);
    failpointAfterSending('relay.published');
    const passings = 100_000;
    const rounds = Array.from({ length: 10 }, () => {
      const startedAt = performance.now();
      for (let passing = 0; passing < passings; passing++) failpoint('relay.confirmed');
      return ((performance.now() - startedAt) * 1e6) / passings;
    });
    // The quietest round: on a busy machine the others measure the neighbours.
    const nanoseconds = Math.min(...rounds);
    expect(nanoseconds).toBeLessThan(200);
  });

  it.each([{}, { FAIL: '' }, { NODE_ENV: 'production' }, { NODE_ENV: 'production', FAIL: '' }])(
    '%j arms nothing',
    (environment) => {
      armFailpoints(environment);
      expect(() => failpoints.forEach(({ name }) => failpoint(name))).not.toThrow();
    },
  );

  it('every point has a name of its own and says where it is', () => {
    expect(new Set(failpoints.map((point) => point.name)).size).toBe(failpoints.length);
    expect(failpoints.every(({ place }) => place.endsWith('.'))).toBe(true);
  });
});

describe('armed', () => {
  it('fires at the passing that was asked for, and at no other', () => {
    armFailpoints({ FAIL: 'relay.confirmed:3:throw' });
    const passings = Array.from({ length: 5 }, () => outcomeOf(() => failpoint('relay.confirmed')));
    expect(passings).toEqual(['passed', 'passed', 'threw', 'passed', 'passed']);
  });

  it('leaves every other point alone', () => {
    armFailpoints({ FAIL: 'relay.confirmed:1:throw' });
    expect(outcomeOf(() => failpoint('relay.removed'))).toBe('passed');
  });

  it('takes several, and * for every passing', () => {
    armFailpoints({ FAIL: 'relay.confirmed:2:throw, relay.removed:*:throw,relay.confirmed:3:throw' });
    const confirmed = Array.from({ length: 4 }, () => outcomeOf(() => failpoint('relay.confirmed')));
    expect(confirmed).toEqual(['passed', 'threw', 'threw', 'passed']);
    expect([1, 2].map(() => outcomeOf(() => failpoint('relay.removed')))).toEqual(['threw', 'threw']);
  });

  it('a delay holds up the process for its milliseconds', () => {
    armFailpoints({ FAIL: 'relay.confirmed:1:delay:120' });
    const startedAt = performance.now();
    failpoint('relay.confirmed');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(110);
  });

  it.each([
    ['relay.confirmd:1:kill9', 'there is no failpoint relay.confirmd; there are createOrder.starting'],
    ['relay.confirmed:1:explode', 'there is no action explode; there are kill9, throw, stop, delay'],
    ['relay.confirmed:0:kill9', '0 must be a passing'],
    ['relay.confirmed:1', 'it must be name:nth:action'],
    ['relay.confirmed:1:kill9:now', 'kill9 takes no argument'],
    ['relay.confirmed:1:stop:60', 'the argument of stop is 5 to 30 seconds'],
    ['relay.confirmed:1:delay:0', 'the argument of delay is 1 to 30000 milliseconds'],
    ['relay.confirmed:1:delay:5:6', 'it must be name:nth:action'],
    ['relay.confirmed:1:throw,', 'it must be name:nth:action'],
  ])('refuses %s and says what is allowed', (text, why) => {
    expect(() => armFailpoints({ FAIL: text })).toThrow(why);
    expect(() => failpoints.forEach(({ name }) => failpoint(name))).not.toThrow();
  });
});

describe('in a process of its own', () => {
  const children: Child[] = [];
  afterEach(() => Promise.all(children.splice(0).map((child) => child.end('SIGKILL'))));
  const pass = (fail: string, how: 'at once' | 'after sending' | 'by the clock') => {
    const child = startChild('failpointProcess.ts', fail, how);
    const [said, ended] = [{ stdout: '', stderr: '' }, once(child.process, 'close')];
    child.process.stdout!.on('data', (text: Buffer) => (said.stdout += text.toString()));
    child.process.stderr!.on('data', (text: Buffer) => (said.stderr += text.toString()));
    children.push(child);
    return { child, said, ended: ended.then(([, signal]) => signal as string | null) };
  };

  it('kill9 is a SIGKILL: nothing that follows is done, and the last line on stderr names the point', async () => {
    const { said, ended } = pass('relay.confirmed:3:kill9', 'at once');
    expect(await ended).toBe('SIGKILL');
    expect(said.stdout).toBe('1\n2\n');
    expect(said.stderr).toBe('failpoint relay.confirmed is armed: kill9 at passing 3\nfailpoint relay.confirmed fires: kill9\n');
  });

  it('after something was sent, the bytes leave the process before it dies', async () => {
    const { said, ended } = pass('relay.published:3:kill9', 'after sending');
    expect(await ended).toBe('SIGKILL');
    expect(said.stdout).toBe('1\n2\n3\n');
  });

  it('stop freezes the process and wakes it by itself', async () => {
    const { child, said, ended } = pass('relay.confirmed:2:stop:5', 'by the clock');
    // It goes on to its own end: no signal ended it.
    expect(await ended).toBeNull();
    expect(said.stderr).toContain('fires: stop');
    // By its own clock: this process may notice late that the other one was stopped, or is awake.
    const counts = [...said.stdout.matchAll(/^(\d) at (\d+)$/gm)].map(([, count, ms]) => ({
      count: Number(count),
      ms: Number(ms),
    }));
    expect(counts.map(({ count }) => count)).toEqual([1, 2, 3, 4, 5]);
    expect(counts[1]!.ms - counts[0]!.ms).toBeGreaterThan(4_500);
    expect(child.process.exitCode).toBe(0);
  });
});

describe('npm start', () => {
  it.each([
    [{ NODE_ENV: 'production', FAIL: 'relay.confirmed:1:kill9' }, 'is refused in production'],
    [{ NODE_ENV: 'production', FAIL: 'nonsense' }, 'is refused in production'],
    [{ FAIL: 'nonsense:1:kill9' }, 'there is no failpoint nonsense; there are'],
    [{ FAIL: 'relay.confirmed:1:nonsense' }, 'there is no action nonsense; there are'],
  ])('%j ends with 64 and a line, before anything is started', async (environment, line) => {
    const holdfast = startHoldfast({ HOLDFAST_DATA: '/nonexistent/holdfast', ...environment });
    expect(await holdfast.ended).toBe(64);
    expect(holdfast.complaints()).toContain(line);
    expect(holdfast.screen()).toBe('');
  });
});

function outcomeOf(work: () => void): 'passed' | 'threw' {
  try {
    work();
    return 'passed';
  } catch (error) {
    expect(error).toBeInstanceOf(InjectedFault);
    return 'threw';
  }
}
