import { stat } from 'node:fs/promises'

/** A file that was written later than so long before it was read may change again without showing it: clocks of file systems are coarse. */
const SETTLED_MS = 2_000

/** What changes with a file's content, as the file system tells it. */
export interface FileMark {
  readonly mark: string
  /** It was last changed so long ago that another change would show. */
  readonly settled: boolean
}

export async function markOf(file: string): Promise<FileMark> {
  const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(file, { bigint: true })
  const age = Date.now() - Number(ctimeMs)
  return { mark: [dev, ino, size, mtimeNs, ctimeNs].join('/'), settled: age > SETTLED_MS }
}
