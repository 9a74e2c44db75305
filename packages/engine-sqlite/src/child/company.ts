import type { FileIdentity } from './messages.ts'

/** What the followers of one process share: its thread, and the files that it has open. */
export interface Company {
  /**
   * Does the work while no other follower does such. Everything that may take a while goes through here, so that nobody's write lock
   * waits for another database.
   */
  alone<T>(work: () => Promise<T>): Promise<T>
  isOpen(file: FileIdentity): boolean
  opened(file: FileIdentity): void
  closed(file: FileIdentity): void
}

export function makeCompany(): Company {
  const files = new Set<string>()
  const key = ({ dev, ino }: FileIdentity): string => `${dev}:${ino}`
  let last: Promise<unknown> = Promise.resolve()
  return {
    alone(work) {
      const mine = last.then(work)
      last = mine.catch(() => undefined)
      return mine
    },
    isOpen: (file) => files.has(key(file)),
    opened: (file) => void files.add(key(file)),
    closed: (file) => void files.delete(key(file)),
  }
}
