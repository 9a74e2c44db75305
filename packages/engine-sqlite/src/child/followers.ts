import type { MessagePort } from 'node:worker_threads'
import { makeCompany } from './company.ts'
import { follow } from './follow.ts'
import { Commands, failedBy, type Line } from './line.ts'
import type { Command, FollowerMessage, FollowerReport, LockNote, Report } from './messages.ts'

/** Many databases, one thread. Each is followed until its number is told `release`. */
export function serveFollowers(port: MessagePort): void {
  const company = makeCompany()
  const all = new Map<number, Commands>()
  port.on('message', ({ follower, say }: FollowerMessage) => {
    if ('command' in say) {
      all.get(follower)?.give(say)
      return
    }
    const commands = new Commands()
    all.set(follower, commands)
    const report = (said: Report): void => port.postMessage({ follower, said } satisfies FollowerReport)
    const line: Line = {
      report,
      note: (note) => port.postMessage({ ...note, follower } satisfies LockNote),
      next: untilReleased(commands),
    }
    void follow(say, line, company)
      .catch(failedBy)
      .then(report)
      .finally(() => all.delete(follower))
  })
}

/** Whoever waits in the middle of something hears of the release, and so does whoever asks next. */
function untilReleased(commands: Commands): () => Promise<Command> {
  let released: Command | null = null
  return async () => {
    const command = released ?? (await commands.next())
    if (command.command === 'release') released = command
    return command
  }
}
