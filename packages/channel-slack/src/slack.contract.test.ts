import { channelContract } from '@salvor/testkit/contracts/channel'
import { adapter } from './index.ts'

channelContract({
  open: (receiver, deadlineMs) => adapter.open('slack', { url: receiver.slackUrl }, 'install', deadlineMs),
  openNowhere: (deadlineMs) => adapter.open('slack', { url: 'http://127.0.0.1:9/canary' }, 'install', deadlineMs),
})
