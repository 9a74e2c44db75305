import { defineConfig } from 'vitest/config'

// Four kinds of tests, told apart by their names: see CONTRIBUTING.md.
const TESTS = ['packages/*/src/**', 'services/*/src/**', 'test/system'].map((folder) => `${folder}/*`)
/** One more than the two cores of a small machine: tests of servers wait much of their time. */
const WORKERS = 3
/** `npm run test:full` makes many rounds of some tests; how long one may take is no part of what it proves. */
const patience = (ms: number): number => (process.env['SALVOR_TEST_COUNTS'] === 'full' ? 7_200_000 : ms)
/** Under CI a test of real servers that fails runs once more; the verdict names it with what it said, since it is a fault to find. */
const RETRY = process.env['CI'] === 'true' ? 1 : 0
const real = (kind: string) => TESTS.map((path) => `${path}.${kind}.test.ts`)

export default defineConfig({
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    reporters: ['default', './tools/verdict-reporter.mjs'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: TESTS.map((path) => `${path}.test.ts`),
          exclude: ['**/node_modules/**', ...real('real'), ...real('system'), ...real('contract')],
        },
      },
      {
        extends: true,
        test: {
          name: 'contract',
          include: real('contract'),
          testTimeout: patience(60_000),
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'real',
          include: real('real'),
          pool: 'forks',
          testTimeout: patience(120_000),
          retry: RETRY,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
          maxWorkers: WORKERS,
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: real('system'),
          pool: 'forks',
          testTimeout: patience(240_000),
          retry: RETRY,
          hookTimeout: 240_000,
          sequence: { groupOrder: 2 },
          maxWorkers: WORKERS,
        },
      },
    ],
  },
})
