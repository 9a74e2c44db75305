import { whyNotSafe } from '@salvor/policy/web-address'
import { z } from 'zod'

/** Keys of a Slack channel. `url` is a secret as a whole: who knows it can write into the channel. */
export const SlackConfig = z.strictObject({
  url: z.string().superRefine((address, context) => {
    const reason = whyNotSafe(address)
    if (reason) context.addIssue({ code: 'custom', message: `the webhook address ${reason}` })
  }),
})
export type SlackConfig = z.infer<typeof SlackConfig>
