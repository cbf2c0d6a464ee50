import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { readConfig } from '../../src/config';

const root = join(__dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const stages = readStages();
const image = stages.at(-1)!;

describe('Dockerfile', () => {
  it('copies only what the repository has, and what .dockerignore lets through', () => {
    const [everything, ...exceptions] = rules('.dockerignore');
    const allowed = exceptions.filter((rule) => rule.startsWith('!')).map((rule) => rule.slice(1));
    expect(everything).toBe('*');
    const sources = stages
      .flatMap((stage) => stage.copies.filter(({ from }) => from === undefined))
      .flatMap((copy) => copy.sources);
    for (const source of new Set(sources))
      expect([source, existsSync(join(root, source)), allowed.some((path) => isWithin(source, path))]).toEqual([
        source,
        true,
        true,
      ]);
  });

  it('hands on only what an earlier stage made', () => {
    const copies = image.copies.filter(({ from }) => from !== undefined);
    expect(copies.map(({ from, sources }) => [from, sources])).toEqual([
      ['packages', ['/app/node_modules']],
      ['build', ['/app/dist']],
    ]);
    expect(stages.map(({ name }) => name)).toEqual(['packages', 'build', undefined]);
  });

  it('installs by the lock file, and for the image neither tools nor the embedded servers', () => {
    const installs = stages.flatMap((stage) => stage.runs).filter((run) => run.startsWith('npm ci'));
    expect(installs).toHaveLength(2);
    for (const word of ['--omit=dev', '--omit=optional', '--omit=peer', '--ignore-scripts']) expect(installs[0]).toContain(word);
    expect(stages.flatMap((stage) => stage.runs).join('\n')).not.toMatch(/npm (i|install) /);
  });

  it('keeps the query compiler that the generated client asks for', () => {
    const kept = /! -name '\*(.+)\*' -exec rm/.exec(stages[0]!.runs.join('\n'))![1]!;
    const asked = [...read('src/generated/prisma/internal/class.ts').matchAll(/import\("(.+query_compiler.+)"\)/g)];
    expect(asked.length).toBeGreaterThan(0);
    for (const [, path] of asked) expect(path).toContain(kept);
  });

  it('runs the Node that package.json asks for', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    const major = /^ARG NODE_IMAGE=node:(\d+)-/m.exec(read('Dockerfile'))![1];
    expect(engines.node).toMatch(new RegExp(`^>=${major}\\b`));
    expect(stages.map(({ base }) => base)).toEqual(stages.map(() => '${NODE_IMAGE}'));
  });

  it('runs as a user without rights, with Node itself as the process that is signalled', () => {
    expect(image.user).toBe('1000:1000');
    expect(image.stopSignal).toBe('SIGTERM');
    expect(image.entrypoint).toEqual(['node', 'dist/src/main.js']);
    expect(existsSync(join(root, 'src/main.ts'))).toBe(true);
  });

  it('sets only what the configuration accepts, and exposes the port it serves', () => {
    const { HOST, PORT, WORKER_PORT, GRPC_PORT, HOLDFAST_DATA, NODE_ENV } = readConfig(image.environment);
    expect({ HOST, PORT, WORKER_PORT, GRPC_PORT, NODE_ENV }).toEqual({
      HOST: '0.0.0.0',
      PORT: image.port,
      WORKER_PORT: image.port,
      GRPC_PORT: image.grpcPort,
      NODE_ENV: 'production',
    });
    expect(HOLDFAST_DATA).toMatch(/^\/tmp\//);
  });

  it('holds the migrations and the protocol buffers where the program looks for them, beside package.json', () => {
    const own = image.copies.filter(({ from }) => from === undefined).map(({ sources, target }) => [...sources, target]);
    expect(own).toEqual([
      ['prisma/migrations', './prisma/migrations'],
      ['proto', './proto'],
      ['package.json', 'LICENSE', './'],
    ]);
    expect(readdirSync(join(root, 'prisma/migrations'))).toContain('migration_lock.toml');
  });
});

interface Stage {
  base: string;
  name?: string;
  runs: string[];
  copies: { from?: string; sources: string[]; target: string }[];
  environment: Record<string, string>;
  entrypoint: string[];
  user?: string;
  stopSignal?: string;
  port?: number;
  grpcPort?: number;
}

/** The instructions by stage; comments and line ends within an instruction are taken out first, as Docker does. */
function readStages(): Stage[] {
  const instructions = rules('Dockerfile')
    .join('\n')
    .replace(/\\\n\s*/g, ' ')
    .split('\n');
  const found: Stage[] = [];
  for (const instruction of instructions) {
    const [word = '', ...rest] = instruction.split(/\s+/);
    const stage = found.at(-1);
    if (word === 'FROM') found.push({ base: rest[0]!, name: rest[2], runs: [], copies: [], environment: {}, entrypoint: [] });
    else if (stage) takeInstruction(stage, word, rest);
  }
  return found;
}

function takeInstruction(stage: Stage, word: string, rest: string[]): void {
  const all = rest.join(' ');
  if (word === 'RUN') stage.runs.push(all);
  if (word === 'COPY') stage.copies.push(copyOf(rest));
  if (word === 'ENV') Object.assign(stage.environment, Object.fromEntries(rest.map((pair) => pair.split('='))));
  if (word === 'ENTRYPOINT') stage.entrypoint = JSON.parse(all) as string[];
  if (word === 'USER') stage.user = all;
  if (word === 'STOPSIGNAL') stage.stopSignal = all;
  if (word === 'EXPOSE') [stage.port, stage.grpcPort] = all.split(' ').map(Number);
}

function copyOf(words: string[]): Stage['copies'][number] {
  const from = /^--from=(.+)$/.exec(words[0]!)?.[1];
  const paths = from === undefined ? words : words.slice(1);
  return { from, sources: paths.slice(0, -1), target: paths.at(-1)! };
}

/** The lines that say something. */
function rules(path: string): string[] {
  return read(path)
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
