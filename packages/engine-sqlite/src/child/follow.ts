import { setTimeout as pause } from 'node:timers/promises'
import type { Company } from './company.ts'
import { BUSY_MS, Follower } from './follower.ts'
import type { Line } from './line.ts'
import { coded, type FollowRequest, type Report } from './messages.ts'
import { moveHere } from './mover.ts'
import { identityOf, openSource, type OpenSource } from './open-source.ts'
import { isBusy } from './until-free.ts'

/** Between two tries where another program holds a lock: the other followers go on meanwhile. */
const BUSY_PAUSE_MS = 20

/** Follows one database until it is told to let go; then nothing of it is open any more, and its log lies as it lay. */
export async function follow(request: FollowRequest, line: Line, company: Company): Promise<Report> {
  const opening = () => company.alone(async () => open(request, line, company))
  const { source, follower } = await patiently(request.lock_wait_ms, opening)
  try {
    line.report({ report: 'following', file: source.file, page_size: follower.page_size })
    await untilReleased(follower, line, company, request.lock_wait_ms)
    return { report: 'released', lock_ms: 0 }
  } finally {
    await company.alone(async () => {
      source.leave()
      company.closed(source.file)
    })
  }
}

/** Does what the parent wants, until that is `release`. */
export async function untilReleased(
  follower: Follower,
  line: Line,
  company: Company,
  lockWaitMs: number,
  thaw: () => void = () => undefined,
): Promise<void> {
  const advance = () => company.alone(async () => follower.advance())
  for (;;) {
    const command = await line.next()
    if (command.command === 'release') return
    if (command.command === 'advance') line.report(await patiently(lockWaitMs, advance))
    if (command.command === 'read') follower.read(command.hold)
    if (command.command === 'reset') line.report(await follower.reset(company, command.urgent))
    if (command.command === 'thaw') thaw()
  }
}

async function patiently<T>(waitMs: number, work: () => Promise<T>): Promise<T> {
  const begun = performance.now()
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isBusy(error) || performance.now() - begun > waitMs) throw error
    }
    await pause(BUSY_PAUSE_MS)
  }
}

function open(
  request: FollowRequest,
  line: Line,
  company: Company,
): { readonly source: OpenSource; readonly follower: Follower } {
  const source = openSource(request.path, (file) => company.isOpen(file))
  company.opened(source.file)
  try {
    if (!source.wal) throw coded('EREPLACED', 'it is not in WAL mode any more')
    const follower = new Follower(source, request, line, moveHere(source.connect(BUSY_MS)))
    const { dev, ino } = identityOf(request.path)
    if (ino !== source.file.ino || dev !== source.file.dev || follower.journalMode() !== 'wal')
      throw coded('EREPLACED', 'replaced while it was opened')
    return { source, follower }
  } catch (error) {
    source.leave()
    company.closed(source.file)
    throw error
  }
}
