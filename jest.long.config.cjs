/**
 * The suites that take long: a RabbitMQ of three nodes, a broker that restarts under load, the terminal; and whole doses where `npm test`
 * takes a part: a kill at every failpoint instead of at every tenth, both ways to end a broker, more simulated seeds,
 * sequences, payloads and probes.
 */
process.env.HOLDFAST_TESTS = 'long';
module.exports = {
  ...require('./jest.config.cjs'),
  testMatch: [
    '**/*.long.test.ts',
    '**/killPoints.test.ts',
    '**/brokers/rabbitmq.test.ts',
    '**/simulation.test.ts',
    '**/model.test.ts',
    '**/interleavings.test.ts',
    '**/fuzz.test.ts',
    '**/probes.test.ts',
  ],
  testPathIgnorePatterns: ['/node_modules/'],
};
