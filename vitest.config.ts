import { defineConfig } from 'vitest/config'

// Four kinds of tests, told apart by their names: see CONTRIBUTING.md.
const TESTS = ['packages/*/src/**', 'services/*/src/**', 'test/system'].map((folder) => `${folder}/*`)
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
        test: { name: 'contract', include: real('contract'), testTimeout: 60_000, hookTimeout: 120_000 },
      },
      {
        extends: true,
        test: {
          name: 'real',
          include: real('real'),
          pool: 'forks',
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
          maxWorkers: 2,
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: real('system'),
          pool: 'forks',
          testTimeout: 240_000,
          hookTimeout: 240_000,
          sequence: { groupOrder: 2 },
          maxWorkers: 2,
        },
      },
    ],
  },
})
