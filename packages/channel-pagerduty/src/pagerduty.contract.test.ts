import { channelContract } from '@salvor/testkit/contracts/channel'
import { adapter } from './index.ts'

const routing_key = 'canary0routing0key0of0pagerduty0'

channelContract({
  open: (receiver, deadlineMs) =>
    adapter.open('pager', { routing_key, endpoint: receiver.pagerDutyUrl }, 'install', deadlineMs),
  openNowhere: (deadlineMs) =>
    adapter.open('pager', { routing_key, endpoint: 'http://127.0.0.1:9/v2/enqueue' }, 'install', deadlineMs),
})
