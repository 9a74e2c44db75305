import { z } from 'zod'

/** CloudEvents 1.0 names. `id` is a uuidv7; `source` is the service that committed the state change; `subject` the thing it is about. */
export const Envelope = z.strictObject({
  id: z.uuid(),
  type: z.string(),
  source: z.string(),
  subject: z.string(),
  time: z.string(),
  correlationid: z.string(),
  causationid: z.string().nullable(),
  data: z.unknown(),
})
export type Envelope = z.infer<typeof Envelope>
