import { readFileSync, renameSync, rmSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { syncFolder } from '../data-folder/settle.ts'
import { assertStopped } from '../target.ts'

/** A folder in the data folder, from the first byte that is changed until the last one: what is in it says so. */
const HOLD = '.salvor-delta'
const MARK = 'mark.json'
const FORMER = 'former-control'
/** The folder, below which the new pg_control lies for now. */
export const holdIn = (target: string): string => join(target, HOLD)
export const CONTROL = 'global/pg_control'

export interface Mark {
  readonly system_id: string
  readonly pid: number
  /** Tells a process from a later one of the same number. Null: not known on this system. */
  readonly started: string | null
}

/** What a delta restore left that did not come to its end, or is at work. Null: nothing. */
export async function markIn(target: string): Promise<Mark | null> {
  const text = await readFile(join(holdIn(target), MARK), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    const { system_id: id, pid, started } = JSON.parse(text) as Partial<Mark>
    return typeof id === 'string' && typeof pid === 'number' ? { system_id: id, pid, started: started ?? null } : null
  } catch {
    return null
  }
}

/** TARGET_IN_USE while another delta restore is at work there. */
export function assertNotHeld(target: string, mark: Mark | null): void {
  if (mark === null || mark.pid === process.pid) return
  const started = startOf(mark.pid)
  if (started === undefined || (started !== null && mark.started !== null && started !== mark.started)) return
  throw new SalvorError('TARGET_IN_USE', { target, by: `a delta restore (process ${mark.pid})` })
}

/**
 * A data folder in which no server starts: its pg_control is gone until everything else is in place and durable. What is left
 * by a process that was killed is taken over by the next delta restore.
 */
export class DeltaHold {
  /** The folder below which the new pg_control lies for now. */
  readonly folder: string
  readonly #target: string

  private constructor(target: string) {
    this.#target = target
    this.folder = holdIn(target)
  }

  /** TARGET_IN_USE, with nothing changed, where a server was quicker. */
  static async take(target: string, systemId: string): Promise<DeltaHold> {
    const hold = new DeltaHold(target)
    const { folder } = hold
    await mkdir(join(folder, 'global'), { recursive: true, mode: 0o700 })
    const mark: Mark = { system_id: systemId, pid: process.pid, started: startOf(process.pid) ?? null }
    await writeDurably(join(folder, MARK), `${JSON.stringify(mark)}\n`)
    await syncFolder(folder)
    await syncFolder(target)
    const [control, former] = [join(target, CONTROL), join(folder, FORMER)]
    const moved = await rename(control, former).then(
      () => true,
      () => false,
    )
    try {
      await assertStopped(target)
      if (moved) await syncFolder(join(target, 'global'))
      await rm(former, { force: true })
      return hold
    } catch (error) {
      if (moved) await rename(former, control)
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Lets servers in. All else is durable before. */
  async release(): Promise<void> {
    renameSync(join(this.folder, CONTROL), join(this.#target, CONTROL))
    await syncFolder(join(this.#target, 'global'))
    rmSync(this.folder, { recursive: true, force: true })
    await syncFolder(this.#target)
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`
  await using file = await open(fresh, 'w', 0o600)
  await file.writeFile(text)
  await file.sync()
  await rename(fresh, path)
}

/** When a process began, in ticks since boot; null: this system does not tell; undefined: there is no such process. */
function startOf(pid: number): string | null | undefined {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}
