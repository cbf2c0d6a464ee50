/** The suites that take minutes each: a RabbitMQ of three nodes, and a kill at every failpoint instead of at every third. */
process.env.HOLDFAST_TESTS = 'long';
module.exports = {
  ...require('./jest.config.cjs'),
  testMatch: ['**/*.long.test.ts', '**/killPoints.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
};
