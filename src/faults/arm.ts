import { faultActions, say, type Fault, type FaultAction } from './actions';
import { arm, failpoints } from './failpoints';

/**
 * Arms what the variable FAIL asks for: `name:nth:action[:argument]`, several with commas, nth from 1 or `*` for every passing.
 * `FAIL=relay.confirmed:3:kill9` kills the process when the third event is confirmed and before its row is removed. Throws
 * FailpointRefusal when there is anything it does not know, and in production whatever it says.
 */
export function armFailpoints(environment: Record<string, string | undefined>): void {
  const text = environment.FAIL;
  if (!text) return;
  if (environment.NODE_ENV === 'production')
    throw new FailpointRefusal(`FAIL=${text} is refused in production: it would make this process fail on purpose. Unset it.`);
  const faults = text.split(',').map(parseFault);
  arm(faults);
  for (const { name, nth, action } of faults)
    say(`failpoint ${name} is armed: ${action} at ${nth === 'every' ? 'every passing' : `passing ${nth}`}`);
}

export class FailpointRefusal extends Error {
  override name = 'FailpointRefusal';
}

function parseFault(text: string): Fault {
  const [name = '', nth = '', actionName = '', argument, ...rest] = text.trim().split(':');
  if (rest.length > 0 || actionName === '') throw refusal(text, 'it must be name:nth:action or name:nth:action:argument');
  const names = failpoints.map((point) => point.name);
  if (!names.some((known) => known === name)) throw refusal(text, `there is no failpoint ${name}; there are ${names.join(', ')}`);
  if (nth !== '*' && !/^[1-9]\d{0,8}$/.test(nth)) throw refusal(text, `${nth} must be a passing, from 1, or * for every one`);
  const action = faultActions.find((known) => known === actionName);
  if (!action) throw refusal(text, `there is no action ${actionName}; there are ${faultActions.join(', ')}`);
  return { name, nth: nth === '*' ? 'every' : Number(nth), action, argument: argumentOf(text, action, argument) };
}

function argumentOf(text: string, action: FaultAction, given: string | undefined): number {
  const range = argumentRanges[action];
  if (!range) {
    if (given === undefined) return 0;
    throw refusal(text, `${action} takes no argument`);
  }
  const value = given === undefined ? range.min : Number(given);
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return value;
  throw refusal(text, `the argument of ${action} is ${range.min} to ${range.max} ${range.unit}`);
}

const argumentRanges: Partial<Record<FaultAction, { min: number; max: number; unit: string }>> = {
  stop: { min: 5, max: 30, unit: 'seconds' },
  delay: { min: 1, max: 30_000, unit: 'milliseconds' },
};

function refusal(text: string, why: string) {
  return new FailpointRefusal(`FAIL: ${JSON.stringify(text)} cannot be armed: ${why}.`);
}
