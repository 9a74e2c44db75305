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

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** `100GB` as a number of bytes. */
export function bytesOf(size: string): number {
  const [, number, unit] = /^([\d.]+)\s?(\w+)$/.exec(size)!
  return Math.floor(Number(number) * UNITS[unit!]!)
}
