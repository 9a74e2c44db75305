import type { ChannelAdapter } from '@salvor/shared/ports/channel'
import { SlackConfig } from './config.ts'
import { slackMessage } from './message.ts'
import { post } from './send.ts'

const DEADLINE_MS = 10_000

/** Slack by an incoming webhook. Everything that is routed here is told. */
export const adapter = {
  kind: 'slack',
  schema: SlackConfig,
  secrets: ['url'],
  open: (name: string, config: SlackConfig, _install: string, deadlineMs = DEADLINE_MS) => ({
    name,
    wants: () => true,
    send: (notification, signal) =>
      post({ channel: name, url: config.url, deadlineMs }, slackMessage(notification), signal),
  }),
} satisfies ChannelAdapter<SlackConfig>
