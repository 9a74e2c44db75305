import { ByteSize } from '@salvor/shared/vocabulary/source'
import { z } from 'zod'

export const LocalStoreConfig = z.strictObject({
  /** Folder of the store; made when the first object is written. */
  path: z.string().min(1),
  /** Writing stops with STORE_FULL when the objects of the store would take more. */
  max_size: ByteSize.optional(),
  warn_at: z.never('is not available yet').optional(),
})
export type LocalStoreConfig = z.infer<typeof LocalStoreConfig>
