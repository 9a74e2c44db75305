import type { ChannelAdapter } from '@salvor/shared/ports/channel'
import { PagerDutyConfig } from './config.ts'
import { pagerDutyEvent } from './message.ts'
import { enqueue } from './send.ts'

const DEADLINE_MS = 10_000

/** PagerDuty by Events API v2: pages when an incident opens, and resolves it when its condition is over. */
export const adapter = {
  kind: 'pagerduty',
  schema: PagerDutyConfig,
  secrets: ['routing_key'],
  open: (name: string, { routing_key, endpoint }: PagerDutyConfig, install: string, deadlineMs = DEADLINE_MS) => ({
    name,
    wants: (notification) => notification.incident !== null,
    send: (notification, signal) =>
      enqueue({ channel: name, endpoint, deadlineMs }, pagerDutyEvent(notification, routing_key, install), signal),
  }),
} satisfies ChannelAdapter<PagerDutyConfig>
