import { SalvorError } from '@salvor/shared/errors/salvor-error'
import pc from 'picocolors'
import { openForCommand, type GlobalOptions } from '../context.ts'
import { done, failureLines, type Answer } from '../output.ts'

/** `salvor queue dead`: what gave up and waits for a person. */
export async function queueDead(options: GlobalOptions): Promise<Answer> {
  await using runtime = await openForCommand(options)
  const dead = await runtime.deps.catalog.deadLetters()
  const lines = dead.flatMap((letter) => [
    `${letter.what}  ${letter.id}  ${pc.dim(`${letter.service}, ${letter.failures} failures, since ${letter.since}`)}`,
    ...(letter.error ? failureLines(letter.error).map((line) => `  ${line}`) : []),
  ])
  return done(
    { dead },
    lines.length === 0 ? ['Nothing is dead.'] : [...lines, 'Once the cause is gone: salvor queue replay ID (or all)'],
  )
}

/** `salvor queue replay ID|all`: queues it again, its failures forgotten. */
export async function queueReplay(id: string, options: GlobalOptions): Promise<Answer> {
  await using runtime = await openForCommand(options)
  const { catalog } = runtime.deps
  const ids = id === 'all' ? (await catalog.deadLetters()).map((letter) => letter.id) : [id]
  const replayed: string[] = []
  for (const one of ids) if (await catalog.replay(one)) replayed.push(one)
  if (replayed.length === 0 && id !== 'all')
    throw new SalvorError('USAGE', { reason: `Nothing dead has the id ${id}`, command: 'queue dead' })
  return done({ replayed }, [`${replayed.length} queued again`])
}
