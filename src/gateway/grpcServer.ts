import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  loadPackageDefinition,
  logVerbosity,
  Server,
  ServerCredentials,
  setLogVerbosity,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { HealthImplementation } from 'grpc-health-check';

import { type GrpcMethod } from '../grpc';
import { type Health, type Logger } from '../observability';
import { type Admission } from './admission';
import { createCustomerCount } from './customerCount';
import { arrivesWithin } from './grpcArrival';
import { serveMethod } from './grpcCalls';
import { PortInUse } from './portInUse';

export interface GrpcServerOptions extends Admission {
  methods: readonly GrpcMethod[];
  /** 0 picks a free one. */
  port: number;
  host: string;
  /** Given: it is served over TLS, with these. */
  tls?: { cert: string; key: string };
  /** Size of one message. */
  messageLimitBytes: number;
  health: Health;
  log: Logger;
  /** How long the request of a call may take to arrive. */
  receiveLimitMs: number;
  /** How long the answer to a unary call may take. */
  answerLimitMs: number;
  /** Streams of one customer at a time. */
  streamsPerCustomerMax: number;
  /** How long `close` waits for calls that are under way. */
  closeLimitMs: number;
}

export interface GrpcServer {
  readonly port: number;
  /** Host and port, as clients of gRPC name a server. */
  readonly target: string;
  /** Takes no new calls, ends streams with UNAVAILABLE, lets calls under way finish, then cuts what is left. */
  close(): Promise<void>;
}

/** gRPC beside GraphQL and REST: the services of proto/, and grpc.health.v1. Rejects with PortInUse when another program holds the port. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { methods, host } = options;
  // What it has to say comes back as errors, too, and those are ours to log.
  setLogVerbosity(logVerbosity.NONE);
  const stopping = new AbortController();
  const underWay = new Set<unknown>();
  const serving = {
    ...options,
    ...{ underWay, stopping: stopping.signal, streams: createCustomerCount(options.streamsPerCustomerMax) },
  };
  const server = new Server({
    ...{ ...connections, 'grpc.max_receive_message_length': options.messageLimitBytes },
    interceptors: [arrivesWithin(options.receiveLimitMs)],
  });
  for (const [name, service] of Object.entries(services())) {
    const served = methods.filter((method) => method.service === name);
    const handlers = served.map((method) => [method.name, serveMethod(method, serving)]);
    server.addService(service, Object.fromEntries(handlers) as UntypedServiceImplementation);
  }
  const status = serveHealth(server);
  const port = await bind(server, options);
  const stopHealth = tellHealth(status, options.health);
  let closing: Promise<void> | undefined;
  return {
    port,
    target: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    close() {
      stopHealth();
      stopping.abort();
      return (closing ??= close(server, options, underWay));
    },
  };
}

/** A client that is gone without a word is noticed within 40 s; one connection has so many calls at a time, streams included. */
const connections = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_concurrent_streams': 1_000,
};

/** The services that are served, by their full names. */
export function services(): Record<string, ServiceDefinition> {
  const loaded = loadSync(['holdfast/v1/orders.proto', 'holdfast/v1/inventory.proto'], {
    includeDirs: [protoFolder()],
    ...{ longs: Number, enums: String, defaults: true, oneofs: true },
  });
  const { holdfast } = loadPackageDefinition(loaded) as unknown as {
    holdfast: { v1: Record<string, { service: ServiceDefinition }> };
  };
  return { 'holdfast.v1.Orders': holdfast.v1.Orders!.service, 'holdfast.v1.Inventory': holdfast.v1.Inventory!.service };
}

/** Beside package.json, wherever this file was compiled to. */
function protoFolder(): string {
  for (let folder = __dirname; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return join(folder, 'proto');
  }
  throw new Error(`No package.json above ${__dirname}: run Holdfast from a complete copy of its folder, proto included.`);
}

function bind(server: Server, { host, port, tls }: GrpcServerOptions): Promise<number> {
  const credentials = tls
    ? ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }])
    : ServerCredentials.createInsecure();
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host.includes(':') ? `[${host}]` : host}:${port}`, credentials, (error, bound) => {
      if (!error) return resolve(bound);
      reject(/EADDRINUSE/.test(error.message) ? new PortInUse(port, host, 'GRPC_PORT') : error);
    });
  });
}

const HEALTH_INTERVAL_MS = 1_000;

const healthNames = ['', 'holdfast.v1.Orders', 'holdfast.v1.Inventory'];

function serveHealth(server: Server): HealthImplementation {
  const status = new HealthImplementation(Object.fromEntries(healthNames.map((name) => [name, 'SERVING'])));
  status.addToServer(server);
  return status;
}

/** Keeps grpc.health.v1 at what /health/ready says. Returns how to say at once that nothing is served any more. */
function tellHealth(status: HealthImplementation, health: Health): () => void {
  const tell = (isServing: boolean) =>
    healthNames.forEach((name) => status.setStatus(name, isServing ? 'SERVING' : 'NOT_SERVING'));
  let told = true;
  const look = async () => {
    const isReady = (await health.ready()).status === 'UP';
    if (isReady !== told) tell((told = isReady));
  };
  const timer = setInterval(() => void look(), HEALTH_INTERVAL_MS).unref();
  return () => {
    clearInterval(timer);
    tell(false);
  };
}

/**
 * Our own calls are waited for; whoever watches nothing but the health, which has no end, is cut a moment later, as is what still runs
 * at the limit.
 */
async function close(server: Server, { closeLimitMs, log }: GrpcServerOptions, underWay: ReadonlySet<unknown>): Promise<void> {
  const closed = new Promise<true>((resolve) => server.tryShutdown(() => resolve(true)));
  const deadline = performance.now() + closeLimitMs;
  while (underWay.size > 0 && performance.now() < deadline) await pause(10);
  if (underWay.size > 0) log.warn(`gRPC calls were still under way after ${closeLimitMs} ms and were cut.`);
  if (!(await Promise.race([closed, pause(GRACE_MS)]))) server.forceShutdown();
}

/** For the last bytes of answers that are on their way. */
const GRACE_MS = 250;
