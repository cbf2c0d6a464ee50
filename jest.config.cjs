/** Real Postgres and real RabbitMQ stand behind the suites: globalSetup starts them once, every test file gets a database of its own. */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  // These run by `npm run test:long`.
  testPathIgnorePatterns: ['/node_modules/', '\\.long\\.test\\.ts$'],
  transform: {
    // Jest cannot run a real dynamic import, so the generated client's become requires; .swcrc keeps all others.
    '/src/generated/.+\\.ts$': ['@swc/jest', { module: { type: 'commonjs', ignoreDynamic: false } }],
    '^.+\\.ts$': ['@swc/jest'],
    // jose is published as ES modules alone, which Node can require and Jest cannot.
    '/node_modules/jose/.+\\.js$': ['@swc/jest'],
  },
  transformIgnorePatterns: ['/node_modules/(?!jose/)'],
  globalSetup: '<rootDir>/test/support/globalSetup.ts',
  globalTeardown: '<rootDir>/test/support/globalTeardown.ts',
  modulePathIgnorePatterns: ['<rootDir>/dist'],
  // Against what hangs, not a measure of speed: a busy machine takes several times longer over every start of a process.
  testTimeout: 120_000,
  maxWorkers: 2,
  // A worker that ran many suites has nothing left to do a millisecond after it is told to end, and is gone two seconds later: so long
  // Node tears itself down. Jest gives it half a second and then speaks of a leak. What is truly left open is still there after ten.
  workerGracefulExitTimeout: 10_000,
};
