import type { Runnable } from './measure.ts'

/** restic over one repository; `init` comes first. */
export function resticIn(restic: string, repository: string): (...args: string[]) => Runnable {
  return (...args) => ({
    command: restic,
    args: ['-r', repository, '--no-cache', '-q', ...args],
    env: { RESTIC_PASSWORD: 'bench' },
  })
}
