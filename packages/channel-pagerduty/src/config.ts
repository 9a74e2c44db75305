import { whyNotSafe } from '@salvor/policy/web-address'
import { z } from 'zod'

/** Keys of a PagerDuty channel: the integration key of an Events API v2 integration. */
export const PagerDutyConfig = z.strictObject({
  routing_key: z.string().regex(/^[A-Za-z0-9]{32}$/, 'an integration key has 32 letters and digits'),
  endpoint: z
    .string()
    .default('https://events.pagerduty.com/v2/enqueue')
    .superRefine((address, context) => {
      const reason = whyNotSafe(address)
      if (reason) context.addIssue({ code: 'custom', message: `the endpoint ${reason}` })
    }),
})
export type PagerDutyConfig = z.infer<typeof PagerDutyConfig>
