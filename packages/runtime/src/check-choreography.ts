import { EVENTS, type EventType } from '@salvor/shared/messages/events'
import { JOB_RULES, JOBS, type JobName } from '@salvor/shared/messages/jobs'
import { SUBSCRIBERS } from '@salvor/shared/messages/subscribers'
import type { ServiceDefinition } from '@salvor/shared/ports/service'

/**
 * Compares what services handle with the tables of jobs and subscribers. Gives every difference as a sentence; a
 * process with any refuses to start. Only services that are there are judged: each may run alone.
 */
export function choreographyProblems(definitions: readonly ServiceDefinition[]): readonly string[] {
  const doubled = definitions.filter(({ name }, at) => definitions.findIndex((other) => other.name === name) !== at)
  return [
    ...doubled.map(({ name }) => `${name} is defined twice`),
    ...definitions.flatMap((definition) => [...jobProblems(definition), ...subscriptionProblems(definition)]),
  ]
}

function jobProblems({ name, jobs }: ServiceDefinition): string[] {
  const wanted = (Object.keys(JOBS) as JobName[]).filter((job) => JOB_RULES[job].service === name)
  const handled = Object.keys(jobs) as JobName[]
  return [
    ...wanted.filter((job) => !jobs[job]).map((job) => `${name} has no handler for its job ${job}`),
    ...handled.filter((job) => !wanted.includes(job)).map((job) => `${name} handles ${job}, which is not its job`),
  ]
}

function subscriptionProblems({ name, subscriptions }: ServiceDefinition): string[] {
  const wanted = (Object.keys(EVENTS) as EventType[]).filter((type) => SUBSCRIBERS[type].includes(name))
  const handled = Object.keys(subscriptions) as EventType[]
  return [
    ...wanted.filter((type) => !subscriptions[type]).map((type) => `${name} has no handler for the event ${type}`),
    ...handled
      .filter((type) => !wanted.includes(type))
      .map((type) => `${name} handles ${type}, but the table of subscribers does not name it`),
  ]
}
