import { withDeadline } from './deadline';
import { redacted } from './redact';

/** What a check found; `detail` is one sentence for the operator. */
export interface CheckResult {
  ok: boolean;
  detail: string;
}

/** The answer of a probe, in the shape of MicroProfile Health. */
export interface HealthAnswer {
  status: 'UP' | 'DOWN';
  checks: { name: string; status: 'UP' | 'DOWN'; data: { detail: string } }[];
}

export interface HealthOptions {
  /** A check that takes longer counts as failed. */
  checkLimitMs?: number;
  /** How long an answer is reused, so that probes cannot hammer what they probe. */
  reuseMs?: number;
}

export type Health = ReturnType<typeof createHealth>;

/** Readiness and liveness of one process. Roles register what they depend on. */
export function createHealth({ checkLimitMs = 2_000, reuseMs = 250 }: HealthOptions = {}) {
  const checks = new Map<string, () => Promise<CheckResult>>();
  let draining = false;

  async function checkAll(): Promise<HealthAnswer['checks']> {
    return Promise.all([...checks].map(([name, check]) => runCheck(name, check, checkLimitMs)));
  }
  const recentChecks = reused(checkAll, reuseMs);

  return {
    /** Adds a check to readiness. A second one under the same name replaces the first. */
    register(name: string, check: () => Promise<CheckResult>): void {
      checks.set(name, check);
    },
    /** From now on the process is not ready: it finishes what it has and takes nothing new. */
    startDraining(): void {
      draining = true;
    },
    /** True once the process is on its way out. */
    draining: (): boolean => draining,
    /** UP while the process can answer at all; never asks a dependency, whose failure a restart would not mend. */
    live: (): Promise<HealthAnswer> => Promise.resolve(answerOf([named('process', { ok: true, detail: 'running' })])),
    /** UP when every registered check passes and the process is not draining. */
    async ready(): Promise<HealthAnswer> {
      const detail = draining ? 'shutting down: no new work is taken' : 'accepting work';
      return answerOf([...(await recentChecks()), named('accepting', { ok: !draining, detail })]);
    },
  };
}

async function runCheck(name: string, check: () => Promise<CheckResult>, limitMs: number) {
  try {
    return named(name, await withDeadline(Promise.resolve().then(check), limitMs, `The check of ${name}`));
  } catch (error) {
    return named(name, { ok: false, detail: lastLineOf(error instanceof Error ? error.message : String(error)) });
  }
}

/** A database client tells the call over several lines, and what went wrong in the last. */
function lastLineOf(message: string): string {
  return message.trimEnd().split('\n').at(-1)!;
}

function named(name: string, { ok, detail }: CheckResult): HealthAnswer['checks'][number] {
  return { name, status: ok ? 'UP' : 'DOWN', data: { detail: redacted(detail) } };
}

function answerOf(checks: HealthAnswer['checks']): HealthAnswer {
  return { status: checks.every((check) => check.status === 'UP') ? 'UP' : 'DOWN', checks };
}

/** Shares one run of `work` among all who ask while it runs and for `reuseMs` after it ended. */
function reused<T>(work: () => Promise<T>, reuseMs: number): () => Promise<T> {
  let latest: Promise<T> | undefined;
  let expiresAtMs = Infinity;
  return () => {
    if (latest === undefined || performance.now() >= expiresAtMs) {
      expiresAtMs = Infinity;
      latest = work().finally(() => (expiresAtMs = performance.now() + reuseMs));
    }
    return latest;
  };
}
