import { JOB_RULES, type JobName } from '@salvor/shared/messages/jobs'
import type { ServiceName } from '@salvor/shared/vocabulary/service'

/** Keys of one installation in Redis: two catalogs may share a server, and an ACL can be limited to this prefix. */
export function keyPrefix(catalogId: string): string {
  return `salvor:${catalogId}`
}

/** Where the events of a service arrive. */
export function inboxQueue(service: ServiceName): string {
  return `inbox-${service}`
}

/** One queue per job, and per pool where a worker must see the file. */
export function jobQueue(job: JobName, pool: string | null): string {
  return pool === null || !JOB_RULES[job].pooled ? job : `${job}.${pool}`
}

/** Messages of one turn have one id, so that sending twice is sending once. BullMQ allows no ':' in it. */
export function messageId(id: string, turn: number): string {
  return `${id}-${turn}`
}
