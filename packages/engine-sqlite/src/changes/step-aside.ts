import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { FileIdentity } from '../child/messages.ts'

/**
 * A backup needs a moment in which every frame lies in the main file, and a follower's snapshot is in the way of that. So a backup
 * asks the follower of the same file on this machine to move on all the time for as long as the connection stands. By a name in the
 * kernel, which leaves nothing behind; where the two do not share one (other containers), the backup takes its slower route.
 */
const nameOf = ({ dev, ino }: FileIdentity): string => `\0salvor-follow-${dev}-${ino}`
const ANSWER_MS = 200
/** Nobody keeps a follower busy for longer. */
const LONGEST_MS = 15_000

export interface StepAside extends AsyncDisposable {
  /** Somebody needs the moment now. */
  readonly asked: boolean
}

/** Answers until disposed. Where the name is taken (a second follower) or cannot be had, nobody asks. */
export async function answerBackups(file: FileIdentity, wake: () => void): Promise<StepAside> {
  const asking = new Set<Socket>()
  const server: Server = createServer((socket) => {
    asking.add(socket)
    socket.setTimeout(LONGEST_MS, () => socket.destroy())
    socket.on('error', () => undefined)
    socket.once('close', () => asking.delete(socket))
    socket.write('.')
    wake()
  })
  server.on('error', () => undefined)
  server.listen(nameOf(file))
  await Promise.race([once(server, 'listening'), once(server, 'error')]).catch(() => undefined)
  server.unref()
  return {
    get asked() {
      return asking.size > 0
    },
    async [Symbol.asyncDispose]() {
      for (const socket of asking) socket.destroy()
      if (server.listening) server.close()
    },
  }
}

/** Null: nobody follows this file here. The follower moves on until it is disposed. */
export async function askFollower(file: FileIdentity): Promise<Disposable | null> {
  const socket = connect(nameOf(file))
  socket.on('error', () => undefined)
  try {
    await once(socket, 'data', { signal: AbortSignal.timeout(ANSWER_MS) })
    return { [Symbol.dispose]: () => socket.destroy() }
  } catch {
    socket.destroy()
    return null
  }
}
