import { EXIT } from '@salvor/shared/errors/exit-codes'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import { failureAnswer, print, type Answer } from './output.ts'

/**
 * Runs one command to its exit code: one document or lines on stdout, what went wrong once. Ctrl-C and SIGTERM stop the
 * work in good order; a second one ends the process at once.
 */
export async function runCommand(json: boolean, work: (signal: AbortSignal) => Promise<Answer>): Promise<void> {
  const stop = new AbortController()
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted)
    stop.abort()
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  try {
    const answer = await work(stop.signal)
    print(answer, json)
    process.exitCode = answer.exit
  } catch (thrown) {
    const error = asSalvorError(thrown)
    const answer = failureAnswer(error)
    if (json) print(answer, true)
    else process.stderr.write(answer.lines.map((line) => `${line}\n`).join(''))
    if (error.code === 'INTERNAL')
      process.stderr.write(`${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`)
    process.exitCode = stop.signal.aborted ? EXIT.interrupted : answer.exit
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}
