import { openDistributed, type Site } from './site';
import { orderPoint } from './points';
import { preload } from './preload';
import { referenceClients } from './options';
import { type Point } from './round';
import { type Stage } from './stage';

/** Names of the virtual hosts that the sizes need, for the server to have them from its start. */
export function growthHosts(sizes: number[]): string[] {
  return [0, ...sizes].map(growthName);
}

/**
 * A Holdfast for none and for each number of orders there are already, so that their rounds can alternate. Each database begins as a
 * copy of the next smaller one.
 */
export async function openGrowth(stage: Stage): Promise<{ sites: Site[]; points: Point[] }> {
  const { command, servers, undo, aborted } = stage;
  const sizes = [0, ...command.growth];
  await preload(
    stage,
    sizes.map((orders) => ({ orders, name: growthName(orders) })),
  );
  const connectionsMax = Math.floor(CONNECTIONS_MAX / sizes.length);
  const sites: Site[] = [];
  for (const size of sizes) {
    const name = growthName(size);
    sites.push(await openDistributed(servers, { name, host: name, roles: command.roles, connectionsMax, undo, aborted }));
  }
  const clients = referenceClients(command);
  const points = sites.map((site, index) => orderPoint(stage, site, 'growth', { clients, preloaded: sizes[index]! }));
  return { sites, points };
}

/** All sizes are up at once. */
const CONNECTIONS_MAX = 92;

function growthName(orders: number): string {
  return `growth_${orders}`;
}
