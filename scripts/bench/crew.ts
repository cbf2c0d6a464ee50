import { freePort, type FleetRole } from '../chaos/fleet';
import { startHoldfast, type OwnProcess } from './processes';

/** The processes of one Holdfast, by the role that each plays. */
export class Crew {
  private readonly members: Member[] = [];
  private isOver = false;
  /** What was told to end, and did so with a code other than 0. */
  readonly badEnds: string[] = [];

  constructor(
    private readonly folder: string,
    private readonly settings: Record<string, string>,
  ) {}

  /** Resolves when each of them answers. */
  async start(role: FleetRole | 'holdfast', count: number): Promise<void> {
    const ports = await Promise.all(Array.from({ length: count }, () => freePort()));
    if (this.isOver) throw new Error(`${role} is not started any more.`);
    const begun = ports.map((port, index) => this.startMember(role, `${role}-${index + 1}`, port));
    this.members.push(...begun);
    await Promise.all(begun.map(untilReady));
  }

  /** SIGTERM lets them finish what is under way. Without a role it is the end of all, and nothing starts any more. */
  async end(signal: 'SIGTERM' | 'SIGKILL', role?: FleetRole): Promise<void> {
    this.isOver ||= role === undefined;
    const ending = this.members.filter((member) => role === undefined || member.role === role);
    for (const member of ending) this.members.splice(this.members.indexOf(member), 1);
    const ends = await Promise.all(ending.map(async (member) => ({ name: member.name, how: await member.end(signal) })));
    const isBad = ({ how }: { how: string }) => signal === 'SIGTERM' && how !== 'code 0';
    this.badEnds.push(...ends.filter(isBad).map(({ name, how }) => `${name} was told to end and ended with ${how}`));
  }

  urlsOf(role: string): string[] {
    return this.members.filter((member) => member.role === role).map(({ port }) => `http://127.0.0.1:${port}/graphql`);
  }

  pids(): Record<string, number[]> {
    const byRole: Record<string, number[]> = {};
    for (const { role, pid } of this.members) (byRole[role] ??= []).push(pid);
    return byRole;
  }

  untimelyEnds(): Promise<never>[] {
    return this.members.map((member) => member.untimelyEnd);
  }

  private startMember(role: string, name: string, port: number): Member {
    const args = role === 'holdfast' ? ['--no-seed'] : ['--roles', role];
    const settings = { ...this.settings, PORT: String(port), WORKER_PORT: String(port), GRPC_PORT: '0' };
    return { ...startHoldfast({ name, folder: this.folder, args, settings }), role, port };
  }
}

interface Member extends OwnProcess {
  role: string;
  port: number;
}

const READY_LIMIT_MS = 60_000;

async function untilReady({ name, port, untimelyEnd }: Member): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  while (!(await Promise.race([answers(port), untimelyEnd]))) {
    if (performance.now() > deadline) throw new Error(`${name} is not ready after ${READY_LIMIT_MS / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function answers(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/health/ready`, { signal: AbortSignal.timeout(5_000) }).catch(
    () => undefined,
  );
  await response?.text().catch(() => undefined);
  return response?.ok ?? false;
}
