/**
 * The suites that take minutes each: a RabbitMQ of three nodes, and whole doses where `npm test` takes a part: a kill at every
 * failpoint instead of at every tenth, both ways to end a broker, more simulated seeds and payloads.
 */
process.env.HOLDFAST_TESTS = 'long';
module.exports = {
  ...require('./jest.config.cjs'),
  testMatch: [
    '**/*.long.test.ts',
    '**/killPoints.test.ts',
    '**/brokerRestart.test.ts',
    '**/simulation.test.ts',
    '**/fuzz.test.ts',
    '**/probes.test.ts',
  ],
  testPathIgnorePatterns: ['/node_modules/'],
};
