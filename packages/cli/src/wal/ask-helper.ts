import { rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { packRequest, unpackReply, type HelperReply, type HelperRequest } from './helper-message.ts'
import { helperPlace, isOwn } from './helper-place.ts'

/** Longer silence means that the helper hangs: it is forgotten, so that no later call waits for it. */
const SILENCE_MS = 6_000

/** The helper's answer; null: there is none, or it leaves the work to the caller. Never rejects. */
export async function askHelper(request: HelperRequest): Promise<HelperReply | null> {
  const { folder, socket } = helperPlace(request.config)
  if (process.env['SALVOR_WAL_HELPER'] || !(await isOwn(folder))) return null
  return await new Promise((resolve) => {
    const connection = createConnection(socket)
    let answer = Buffer.alloc(0)
    const end = (reply: HelperReply | null): void => {
      connection.destroy()
      resolve(reply)
    }
    connection.setTimeout(SILENCE_MS, () => void rm(socket, { force: true }).finally(() => end(null)))
    connection.once('connect', () => connection.write(packRequest(request)))
    connection.on('data', (data: Buffer) => {
      answer = Buffer.concat([answer, data])
      const reply = read(answer)
      if (reply !== null) end(reply === 'declined' ? null : reply)
    })
    connection.once('error', () => end(null))
    connection.once('close', () => end(null))
  })
}

function read(answer: Buffer): HelperReply | 'declined' | null {
  try {
    return unpackReply(answer)
  } catch {
    return 'declined'
  }
}
