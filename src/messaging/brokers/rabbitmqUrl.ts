import { unescape } from 'node:querystring';

import { mayBePlain, plaintextRefusal, readCertificates, type Certificates } from '../../tls';

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

/**
 * The certificates of a node, by the parameters that RabbitMQ's own clients know: `cacertfile`, `certfile`, `keyfile`. Read anew for
 * each connection, so that renewed ones are used. Throws a line for people when they cannot be.
 */
export function certificatesOf({ protocol, searchParams }: URL): Certificates {
  const verify = searchParams.get('verify') ?? 'verify_peer';
  if (verify !== 'verify_peer') throw new Error(`has verify=${verify}: only verify_peer makes sure of who answers`);
  const [ca, cert, key] = tlsParameters.map((name) => searchParams.get(name) ?? undefined);
  if (protocol === 'amqp:' && (ca ?? cert ?? key) !== undefined) throw new Error('names certificates but begins with amqp://');
  return readCertificates({ ca, cert, key }, { ca: 'cacertfile', cert: 'certfile', key: 'keyfile' });
}

export const tlsParameters = ['cacertfile', 'certfile', 'keyfile', 'verify'] as const;

/** What is wrong with the way to the nodes of a RABBITMQ_URL, or undefined; `plaintextHosts` may be spoken to unencrypted. */
export function connectionProblem(url: string, plaintextHosts: readonly string[]): string | undefined {
  for (const node of rabbitmqNodes(url)) {
    if (node.protocol === 'amqps:' || mayBePlain(node.hostname, plaintextHosts)) continue;
    return plaintextRefusal(node.hostname, 'let it begin with amqps:// and end in ?cacertfile=<file of the CA>');
  }
  return undefined;
}

/** What may be shown: every host, no user, no password. */
export function shownNodes(nodes: readonly URL[]): string {
  return `${nodes[0]!.protocol}//${nodes.map(({ host }) => host).join(',')}${nodes[0]!.pathname}`;
}

/** A text that may quote the URL of a node, as errors do, fit to be shown. */
export function withoutPasswords(text: string, nodes: readonly URL[]): string {
  const secrets = nodes.flatMap(({ password }) => [password, decodeURIComponent(password)]).filter(Boolean);
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
}

/** A comma inside a password is none of these. */
const betweenNodes = /\s*,\s*(?=amqps?:\/\/)/;

function node(text: string): URL {
  if (!URL.canParse(text)) throw new Error(`must be a URL; ${example}`);
  const parsed = new URL(text);
  if (parsed.protocol !== 'amqp:' && parsed.protocol !== 'amqps:') {
    throw new Error(`must be a URL that begins with amqp:// or amqps://; ${example}`);
  }
  certificatesOf(parsed);
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
