import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';

import { configFields, readConfig } from '../../src/config';
import { databaseUsers, roleNames } from '../../src/roles';

const root = join(__dirname, '../..');
const text = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
const { services, volumes, version } = readCompose();
const ours = Object.entries(services).filter(([name]) => !['postgres', 'rabbitmq', 'mailpit'].includes(name));
const roles = ours.filter(([, service]) => service.command[0] === '--roles');
const oneShots = ours.filter(([, service]) => service.command[0] !== '--roles');

describe('docker-compose.yml', () => {
  it('S2.3 starts PostgreSQL 16, and RabbitMQ 3 with its management page on 15672 and AMQP on 5672', () => {
    expect(services.postgres!.image).toMatch(/^postgres:16\b/);
    expect(services.rabbitmq!.image).toMatch(/^rabbitmq:3[\d.]*-management\b/);
    expect(services.postgres!.ports).toEqual(['127.0.0.1:5432:5432']);
    expect(services.rabbitmq!.ports).toEqual(['127.0.0.1:5672:5672', '127.0.0.1:15672:15672']);
  });

  it('S2.3 gives everyone the user rabbit_user with rabbit_pass', () => {
    for (const [name, service] of roles) {
      const { username, password, host } = new URL(service.environment!.RABBITMQ_URL!);
      expect([name, username, password, host]).toEqual([name, 'rabbit_user', 'rabbit_pass', 'rabbitmq:5672']);
    }
  });

  it('S4.1 starts everything: the servers, the migrations, the products and every role, the image built on the way', () => {
    expect(roles.map(([, service]) => service.command)).toEqual(roleNames.map((name) => ['--roles', name]));
    expect(services.inventory!.deploy).toEqual({ replicas: 2 });
    expect(services.gateway!.ports).toEqual(['127.0.0.1:4000:4000', '127.0.0.1:50052:50052']);
    const builders = ours.filter(([, service]) => service.build !== undefined);
    expect(builders.map(([name, { build, pull_policy }]) => [name, build, pull_policy])).toEqual([['migrate', '.', 'build']]);
    expect(new Set(ours.map(([, service]) => service.image)).size).toBe(1);
    expect(Object.values(services).every((service) => service.profiles === undefined)).toBe(true);
    expect(version).toBeUndefined();
  });

  it('S4.1 starts the one-shots once the database is there, and the roles once the one-shots and the servers are done', () => {
    expect(oneShots.map(([name]) => name)).toEqual(['migrate', 'seed']);
    expect(conditions(services.migrate!)).toEqual({ postgres: 'service_healthy' });
    expect(conditions(services.seed!)).toEqual({ migrate: 'service_completed_successfully' });
    for (const [, service] of roles)
      expect(conditions(service)).toEqual({
        migrate: 'service_completed_successfully',
        seed: 'service_completed_successfully',
        postgres: 'service_healthy',
        rabbitmq: 'service_healthy',
      });
  });

  it('can tell of every lasting service whether it is healthy, and brings each back when it falls', () => {
    const lasting = Object.entries(services).filter(([name]) => !oneShots.some(([oneShot]) => oneShot === name));
    for (const [name, { healthcheck, restart, logging }] of lasting) {
      expect([name, healthcheck?.test[0], restart]).toEqual([name, 'CMD', 'unless-stopped']);
      expect(logging?.options).toHaveProperty('max-size');
    }
    for (const [, { restart }] of oneShots) expect(restart).toBe('no');
  });

  it('catches the e-mail that customers are sent, for people to look at on 8025', () => {
    expect(services.mailpit!.image).toMatch(/^axllent\/mailpit:v\d+\.\d+/);
    expect(services.mailpit!.ports).toEqual(['127.0.0.1:8025:8025']);
    expect(services.notifications!.environment!.SMTP_URL).toBe('smtp://mailpit:1025');
  });

  it('sets only what the configuration knows, to what it accepts', () => {
    const known = configFields().map(({ name }) => name);
    for (const [, { environment }] of ours) {
      expect(Object.keys(environment!).filter((name) => !known.includes(name))).toEqual([]);
      expect(readConfig(environment!)).toMatchObject({ HOST: '0.0.0.0', PORT: 4000, WORKER_PORT: 4000 });
    }
  });

  it('gives each service only what it needs: tokens are checked by the gateway alone, and RabbitMQ is none of the one-shots', () => {
    const having = (pattern: RegExp) =>
      ours.filter(([, { environment }]) => Object.keys(environment!).some((name) => pattern.test(name))).map(([name]) => name);
    expect(having(/^AUTH_/)).toEqual(['gateway']);
    expect(having(/^RABBITMQ_/)).toEqual(roles.map(([name]) => name));
    expect(having(/^SMTP_URL$/)).toEqual(['gateway', 'notifications']);
    const known = configFields().map(({ name }) => name);
    const identity = Object.keys(services.gateway!.environment!).filter((name) => name.startsWith('AUTH_'));
    expect(identity).toEqual(known.filter((name) => name.startsWith('AUTH_')));
  });

  it('lets plain text go to its own containers, and to nobody else', () => {
    for (const [, { environment }] of ours) {
      const named = environment!.ALLOW_PLAINTEXT!.split(',');
      expect(named.filter((name) => !(name in services))).toEqual([]);
      const elsewhere = { ...environment!, DATABASE_URL: environment!.DATABASE_URL!.replace('@postgres', '@db.example') };
      expect(() => readConfig(elsewhere)).toThrow('to db.example unencrypted');
    }
  });

  it('gives a stop more time than the drain, with the 15 s after which Holdfast ends itself', () => {
    for (const [, { environment, stop_grace_period: grace }] of roles)
      expect(seconds(grace)).toBeGreaterThan(Number(environment!.DRAIN_SECONDS) + 15);
  });

  it('publishes to this machine only, each port movable', () => {
    const published = [...text.matchAll(/^ +- '(.+:\d+)'$/gm)].map(([, port]) => port);
    expect(published).toHaveLength(Object.values(services).flatMap((service) => service.ports ?? []).length);
    for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:\$\{PUBLISH_[A-Z]+_PORT:-(\d+)\}:\1$/);
  });

  it('names only volumes that it declares, files that are there, and programs that are built', () => {
    const mounts = Object.values(services).flatMap((service) => service.volumes ?? []);
    for (const source of mounts.map((mount) => mount.split(':')[0]!))
      expect([source, source.startsWith('.') ? existsSync(join(root, source)) : source in volumes]).toEqual([source, true]);
    for (const [name, { entrypoint }] of oneShots) {
      expect(entrypoint).toEqual(['node', `dist/scripts/${name}.js`]);
      expect(existsSync(join(root, 'scripts', `${name}.ts`))).toBe(true);
    }
  });
});

describe('deploy/least-privilege.compose.yml', () => {
  const override = readFileSync(join(root, 'deploy/least-privilege.compose.yml'), 'utf8');
  const password = 'a0'.repeat(12);
  const least = (parse(override.replace(/\$\{\w+:\?\}/g, password), { merge: true }) as { services: Record<string, Service> })
    .services;

  it('gives each role the users of its own name, made before it starts', () => {
    for (const name of roleNames) {
      const environment = { ...services[name]!.environment!, ...least[name]!.environment! };
      const { DATABASE_URL, RABBITMQ_URL } = readConfig(environment);
      expect([new URL(DATABASE_URL!).username, new URL(RABBITMQ_URL!).username]).toEqual([
        `holdfast_${name}`,
        `holdfast_${name}`,
      ]);
      expect(conditions(least[name]!)).toEqual({ grants: 'service_completed_successfully' });
    }
  });

  it('names programs that are there, a password for each user, and none of them', () => {
    for (const service of [least.grants!, least['broker-users']!]) {
      expect(existsSync(join(root, service.entrypoint![1]!.replace('dist/', '').replace('.js', '.ts')))).toBe(true);
      expect(() => readConfig(service.environment!)).not.toThrow();
    }
    const wanted = (users: readonly string[]) => users.map((user) => `PASSWORD_${user.toUpperCase()}`);
    const given = (service: Service) => Object.keys(service.environment!).filter((name) => name.startsWith('PASSWORD_'));
    expect([given(least.grants!), given(least['broker-users']!)]).toEqual([wanted(databaseUsers), wanted(roleNames)]);
    expect(readFileSync(join(root, 'deploy/passwords.example'), 'utf8')).toBe(`${wanted(databaseUsers).join('=\n')}=\n`);
  });
});

describe('the health check of a role', () => {
  it.each([
    [200, 0],
    [503, 1],
  ])('takes an answer of %i as exit code %i, and shows what was answered', async (status, exitCode) => {
    const server = createServer((request, response) => response.writeHead(status).end(`asked for ${request.url}`));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    try {
      const outcome = await runHealthcheck((server.address() as AddressInfo).port);
      expect(outcome).toEqual({ code: exitCode, printed: 'asked for /health/ready\n' });
    } finally {
      server.close();
    }
  });

  it('fails where nobody listens', async () => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { code, printed } = await runHealthcheck(port);
    expect([code, printed]).toEqual([1, expect.stringContaining('ECONNREFUSED')]);
  });
});

interface Service {
  image: string;
  build?: string;
  pull_policy?: string;
  profiles?: string[];
  entrypoint?: string[];
  command: string[];
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  deploy?: { replicas: number };
  restart?: string;
  stop_grace_period?: string;
  logging?: { options: Record<string, string> };
}

/** As Compose reads it where no variable is set: each one takes the default that stands beside it. */
function readCompose() {
  const resolved = text.replace(/\$\{\w+:-([^}]*)\}/g, '$1');
  if (resolved.includes('${')) throw new Error('docker-compose.yml has a variable without a default: write ${NAME:-default}.');
  return parse(resolved, { merge: true }) as {
    services: Record<string, Service>;
    volumes: Record<string, null>;
    version?: string;
  };
}

function conditions({ depends_on: needs = {} }: Service) {
  return Object.fromEntries(Object.entries(needs).map(([name, { condition }]) => [name, condition]));
}

function seconds(duration = '10s'): number {
  return Number(/^(\d+)s$/.exec(duration)?.[1]);
}

async function runHealthcheck(port: number) {
  const [program, ...rest] = services.gateway!.healthcheck!.test.slice(1);
  const child = spawn(
    program!,
    rest.map((word) => word.replace(':4000/', `:${port}/`)),
  );
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk));
  const [code] = (await once(child, 'close')) as [number];
  return { code, printed };
}
