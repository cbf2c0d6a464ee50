import { unescape } from 'node:querystring';

/**
 * The nodes that a RABBITMQ_URL names: one, or those of a cluster, each a whole URL, separated by commas. Throws with a line that
 * says what is wrong and quotes nothing, for there are passwords in it.
 */
export function rabbitmqNodes(url: string): URL[] {
  const nodes = url.split(betweenNodes).map(node);
  const [first] = nodes;
  if (nodes.some((other) => vhostOf(other) !== vhostOf(first!))) {
    throw new Error(
      'names nodes with different virtual hosts: those are different brokers, between which messages would be lost',
    );
  }
  return nodes;
}

/** What may be shown: every host, no user, no password. */
export function shownNodes(nodes: readonly URL[]): string {
  return `amqp://${nodes.map(({ host }) => host).join(',')}${nodes[0]!.pathname}`;
}

/** A comma inside a password is none of these. */
const betweenNodes = /\s*,\s*(?=amqps?:\/\/)/;

function node(text: string): URL {
  if (!URL.canParse(text)) throw new Error(`must be a URL; ${example}`);
  const parsed = new URL(text);
  if (parsed.protocol !== 'amqp:' && parsed.protocol !== 'amqps:') {
    throw new Error(`must be a URL that begins with amqp:// or amqps://; ${example}`);
  }
  // Else `host1,host2` would pass for the name of one host.
  if (`${parsed.host}${parsed.pathname}`.includes(',')) throw new Error(`has a comma where none can be; ${example}`);
  return parsed;
}

/** As the client library reads it: no name at all is the default one, `/`. */
function vhostOf({ pathname }: URL): string {
  return unescape(pathname.slice(1)) || '/';
}

const example =
  'it looks like amqp://user:password@host:5672/vhost, and several nodes of a cluster like amqp://…@host1,amqp://…@host2';
