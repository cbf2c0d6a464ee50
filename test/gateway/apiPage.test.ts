import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, type GraphQLEnumType, type GraphQLField, type GraphQLObjectType } from 'graphql';

/** docs/api.md lists what schema.graphql has; UPDATE_SCHEMA=1 writes its tables anew, as it writes the schema. */
const root = join(__dirname, '..', '..');
const page = join(root, 'docs', 'api.md');
const schema = buildSchema(readFileSync(join(root, 'schema.graphql'), 'utf8'));

const cell = (text: string | null | undefined) => (text ?? '').replace(/\s+/g, ' ').replaceAll('|', '\\|');
const table = (head: string[], rows: string[][]) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
const fieldsOf = (type: GraphQLObjectType) => Object.values<GraphQLField<unknown, unknown>>(type.getFields());
const signature = ({ name, args }: GraphQLField<unknown, unknown>) =>
  `\`${name}${args.length > 0 ? `(${args.map((arg) => arg.name).join(', ')})` : ''}\``;
const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name);

/** Prettier aligns the columns of tables. */
const unformatted = (text: string) => text.replace(/ +/g, ' ').replace(/-{3,}/g, '---');

const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
const sections: Record<string, string> = {
  ...Object.fromEntries(
    roots.flatMap((type) => {
      if (!type) return [];
      const rows = fieldsOf(type)
        .sort(byName)
        .map((field) => [signature(field), `\`${String(field.type)}\``, cell(field.description)]);
      return [[type.name, table(['field', 'answers', 'what'], rows)]];
    }),
  ),
  ErrorCode: table(
    ['code', 'when'],
    (schema.getType('ErrorCode') as GraphQLEnumType)
      .getValues()
      .map(({ name, description }) => [`\`${name}\``, cell(description)]),
  ),
};

it.each(Object.keys(sections))('docs/api.md lists %s as the schema has it', (name) => {
  const text = readFileSync(page, 'utf8');
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  expect({ from: from >= 0, to: to > from }).toEqual({ from: true, to: true });
  const wanted = `${begin}\n\n${sections[name]}\n\n`;
  if (process.env.UPDATE_SCHEMA) return writeFileSync(page, text.slice(0, from) + wanted + text.slice(to));
  expect(unformatted(text.slice(from, to))).toBe(unformatted(wanted));
});
