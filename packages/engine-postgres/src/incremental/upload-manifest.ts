import type { Link } from '../protocol/link.ts'
import { TYPE } from '../protocol/messages.ts'
import { LinkLost } from '../protocol/server-error.ts'
import { COMMAND_IDLE_MS } from '../connect/session.ts'

/** Gives the server the manifest of the parent; the next BASE_BACKUP of this link may be incremental. */
export async function uploadManifest(link: Link, manifest: Iterable<Buffer>, signal: AbortSignal): Promise<void> {
  const asked = Promise.withResolvers<void>()
  const message = (type: number): void => {
    if (type === TYPE.copyIn) asked.resolve()
    else if (type !== TYPE.commandComplete) throw new LinkLost('an unexpected message in the answer')
  }
  const done = link.run('UPLOAD_MANIFEST', { message }, () => COMMAND_IDLE_MS, signal)
  // The server may refuse before it asks, or stop in the middle: then there is nothing to send.
  const answered = done.then(() => false)
  answered.catch(() => undefined)
  if (await Promise.race([asked.promise.then(() => true), answered])) {
    for (const chunk of manifest) {
      link.sendCopy(chunk)
      await link.sent()
    }
    link.endCopy()
  }
  await done
}
