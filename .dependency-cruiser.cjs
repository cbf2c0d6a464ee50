/** The house rules of who may import whom. `npm run imports` checks them; each rule says what to do instead. */
const contexts = 'orders|inventory|accounts|notifications|operations';
const rule = (name, comment, from, to) => ({ name, severity: 'error', comment, from, to });

module.exports = {
  forbidden: [
    rule('no-circular', 'Two files that need each other are one file, or lack a third.', {}, { circular: true }),
    rule(
      'contracts-stand-alone',
      'contracts/ imports only zod: what crosses a boundary depends on nothing.',
      { path: '^src/contracts/' },
      { pathNot: '^(src/contracts/|node_modules/zod/)' },
    ),
    rule(
      'faults-stand-alone',
      'faults/ imports only Node: a failpoint must not pull anything into the places it stands in.',
      { path: '^src/faults/' },
      { pathNot: '^src/faults/', dependencyTypesNot: ['core'] },
    ),
    rule(
      'identity-stands-alone',
      'identity/ imports only jose and the word for what is down: who may do what must not hang on what is done.',
      { path: '^src/identity/' },
      { pathNot: '^(src/identity/|src/observability/unavailable\\.ts$|node_modules/jose/)', dependencyTypesNot: ['core'] },
    ),
    rule(
      'jose-in-identity',
      'Only identity/ names jose; everyone else speaks of callers.',
      { path: '^src/', pathNot: '^src/identity/' },
      { path: 'node_modules/jose' },
    ),
    rule(
      'carriage-knows-no-context',
      'messaging, database, live and observability carry; they never import a context, a door or the wiring.',
      { path: '^src/(messaging|database|live|observability)/' },
      { path: `^src/(${contexts}|gateway|roles|main)` },
    ),
    rule(
      'contexts-meet-in-contracts',
      'Contexts never import one another: say it with an event in contracts/.',
      { path: `^src/(${contexts})/` },
      { path: `^src/(${contexts})/`, pathNot: '^src/$1/' },
    ),
    rule(
      'contexts-know-no-door',
      'A context never imports the gateway or the wiring.',
      { path: `^src/(${contexts})/` },
      { path: '^src/(gateway|roles|main)' },
    ),
    rule(
      'one-door',
      'Outside its folder a context is used through its index.ts.',
      { path: `^src/`, pathNot: `^src/(${contexts})/` },
      { path: `^src/(${contexts})/`, pathNot: `^src/(${contexts})/index\\.ts$` },
    ),
    rule(
      'only-roles-knows-contexts',
      'Only the room of the roles imports the contexts.',
      { path: '^src/', pathNot: `^src/(roles/|(${contexts})/)` },
      { path: `^src/(${contexts})/` },
    ),
    rule(
      'amqplib-in-one-place',
      'Only brokers/rabbitmqConnection.ts knows the AMQP library; everyone else uses the Broker port.',
      { path: '^src/', pathNot: '^src/messaging/brokers/rabbitmqConnection\\.ts$' },
      { path: 'node_modules/amqplib' },
    ),
    rule(
      'smqp-in-one-place',
      'Only brokers/inProcess.ts knows the in-process broker library.',
      { path: '^src/', pathNot: '^src/messaging/brokers/inProcess\\.ts$' },
      { path: 'node_modules/smqp' },
    ),
    rule(
      'apollo-in-the-gateway',
      'Only gateway/ names Apollo.',
      { path: '^src/', pathNot: '^src/gateway/' },
      { path: 'node_modules/@apollo' },
    ),
    rule(
      'grpc-in-the-gateway',
      'Only gateway/ names the gRPC libraries; contexts speak of methods in the words of src/grpc.',
      { path: '^src/', pathNot: '^src/gateway/' },
      { path: 'node_modules/(@grpc|grpc-health-check|protobufjs)/' },
    ),
    rule(
      'websockets-in-the-gateway',
      'Only gateway/ names the libraries of subscriptions; contexts give what they follow as async generators.',
      { path: '^src/', pathNot: '^src/gateway/' },
      { path: 'node_modules/(ws|graphql-ws)/' },
    ),
    rule(
      'prisma-in-database',
      'The generated client and pg are reached through database/.',
      { path: '^src/', pathNot: '^src/(database|generated)/' },
      { path: '^(src/generated/|node_modules/(pg|@prisma)/)' },
    ),
    rule('source-knows-no-test', 'src/ and scripts/ never import test/.', { path: '^(src|scripts)/' }, { path: '^test/' }),
    rule(
      'production-needs-production',
      'The image has no dev dependencies: what src/ and scripts/ import stands under dependencies.',
      { path: '^(src|scripts)/' },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    ),
    rule('no-unresolvable', 'An import that leads nowhere.', {}, { couldNotResolve: true }),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^src/generated/prisma/internal' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['require', 'node', 'default', 'import', 'types'] },
  },
};
