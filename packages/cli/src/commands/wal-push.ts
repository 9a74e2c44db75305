import { resolve } from 'node:path'
import { openForCommand } from '../context.ts'
import type { Answer } from '../output.ts'
import { askHelper } from '../wal/ask-helper.ts'
import { answerOf, requestOf } from '../wal/helper-answer.ts'
import { pushFile, pushTarget } from '../wal/push-file.ts'
import { readyBeside } from '../wal/push-ahead.ts'
import type { WalOptions } from '../wal/source-of.ts'
import { startHelper } from '../wal/start-helper.ts'
import { pushedAnswer } from '../wal/words.ts'

/**
 * `salvor wal push PATH`, as archive_command calls it: done only when the file is durable in the first store of the rule and in
 * the catalog. The same file again is done, another one of its name is refused. A helper does it if one runs; else this process
 * does, and starts one where more is to come.
 */
export async function walPush(path: string, options: WalOptions, signal: AbortSignal): Promise<Answer> {
  const file = resolve(path)
  const answer = answerOf(await askHelper(requestOf('push', [file], options)), options.json)
  if (answer) return answer
  const stored = await (async () => {
    await using runtime = await openForCommand(options)
    const target = pushTarget(runtime, options.source)
    const { size_bytes } = await pushFile(target, file, signal)
    const place = { source: target.settings.name, store: target.store }
    return pushedAnswer(place, file, { size_bytes, ahead: false })
  })()
  await startHelper(resolve(options.config), (await readyBeside(file)).length > 0)
  return stored
}
