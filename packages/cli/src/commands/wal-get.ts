import { resolve } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { openForCommand } from '../context.ts'
import { done, type Answer } from '../output.ts'
import { askHelper } from '../wal/ask-helper.ts'
import { followers } from '../wal/get-ahead.ts'
import { getFile, getTarget } from '../wal/get-file.ts'
import { answerOf, requestOf } from '../wal/helper-answer.ts'
import type { WalOptions } from '../wal/source-of.ts'
import { startHelper } from '../wal/start-helper.ts'
import { gotAnswer } from '../wal/words.ts'

/** restore_command takes 1 for "there is no such file", and ends the recovery there; above 125 it stops and waits for a person. */
const NOT_KNOWN = 126

/**
 * `salvor wal get NAME PATH`, as restore_command calls it. Exit 1: no store has it. 126: that cannot be known now. A helper does
 * it if one runs, and fetches ahead; else this process does, and starts one where more is to come.
 */
export async function walGet(name: string, path: string, options: WalOptions, signal: AbortSignal): Promise<Answer> {
  const target = resolve(path)
  const answer = answerOf(await askHelper(requestOf('get', [name, target], options)), options.json)
  if (answer) return answer
  const config = resolve(options.config)
  try {
    const got = await fetched(name, target, options, signal)
    await startHelper(config, got.more)
    return got.answer
  } catch (thrown) {
    if (thrown instanceof SalvorError && thrown.code === 'WAL_MISSING') {
      // A standby asks for what is not there yet again and again.
      await startHelper(config, false)
      throw thrown
    }
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`)
    return done({ error: thrown instanceof SalvorError ? thrown.toFailure() : String(thrown) }, [], NOT_KNOWN)
  }
}

async function fetched(
  name: string,
  path: string,
  options: WalOptions,
  signal: AbortSignal,
): Promise<{ readonly answer: Answer; readonly more: boolean }> {
  await using runtime = await openForCommand(options)
  const target = getTarget(runtime, options.source)
  const pieces = await getFile(target, name, path, signal)
  const more = (await followers(target, pieces[0])).length > 0
  return { answer: gotAnswer(target.source, name, pieces.length), more }
}
