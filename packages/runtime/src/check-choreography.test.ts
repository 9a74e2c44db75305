import { expect, test } from 'vitest'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { choreographyProblems } from './check-choreography.ts'

const nothing = async () => null
const scheduler: ServiceDefinition = {
  name: 'scheduler',
  jobs: { 'plan-tick': { handle: async () => ({}) }, 'check-stores': { handle: async () => ({}) } },
  subscriptions: {},
}
const worker: ServiceDefinition = {
  name: 'backup-worker',
  jobs: {
    'take-backup': { handle: async () => ({}) },
    'merge-chain': { handle: async () => ({}) },
    'compact-changes': { handle: async () => ({}) },
    'restore-backup': { handle: async () => ({}) },
  },
  subscriptions: { 'source.registered': nothing },
}

test('services that handle exactly their jobs and events may start', () => {
  expect(choreographyProblems([scheduler, worker])).toEqual([])
})

test('a job without a handler is named', () => {
  const { 'check-stores': rest } = scheduler.jobs
  expect(choreographyProblems([{ ...scheduler, jobs: { 'check-stores': rest! } }])).toEqual([
    'scheduler has no handler for its job plan-tick',
  ])
})

test("another service's job is named", () => {
  const jobs = { ...scheduler.jobs, 'take-backup': { handle: async () => ({}) } }
  expect(choreographyProblems([{ ...scheduler, jobs }])).toEqual([
    'scheduler handles take-backup, which is not its job',
  ])
})

test('an event that a service should hear of, or should not, is named', () => {
  const deaf = { ...worker, subscriptions: { 'backup.failed': nothing } }
  expect(choreographyProblems([deaf])).toEqual([
    'backup-worker has no handler for the event source.registered',
    'backup-worker handles backup.failed, but the table of subscribers does not name it',
  ])
})

test('a service that is defined twice is named', () => {
  expect(choreographyProblems([scheduler, scheduler])).toEqual(['scheduler is defined twice'])
})
