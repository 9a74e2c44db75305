import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Check } from '@salvor/shared/vocabulary/verification'
import type { Command } from './child/messages.ts'
import { startSqlite, type SqliteProcess } from './sqlite-process.ts'

export interface Subject {
  /** A restored copy that nobody writes to. */
  readonly path: string
  readonly source: string
  readonly scratch: string
}

export interface Question {
  readonly name: string
  readonly command: Command
  /** After this time the process that works on it is ended, and the check has failed; null: as long as it takes. */
  readonly limit_ms: number | null
}

export const INTEGRITY: readonly Question[] = [
  { name: 'integrity_check', command: { command: 'integrity' }, limit_ms: null },
  { name: 'foreign_key_check', command: { command: 'foreign_keys' }, limit_ms: null },
]

/** Asks the engine's own questions at the same time, each in an isolated process: a large copy is read by all cores. */
export async function examineAtOnce(
  subject: Subject,
  questions: readonly Question[],
  signal: AbortSignal,
): Promise<Check[]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const all = questions.map(async (question) => {
    try {
      return await examine(subject, [question], either)
    } catch (error) {
      failed.abort(error)
      throw error
    }
  })
  const ended = await Promise.allSettled(all)
  // The first failure is the reason; the others were ended for it.
  if (failed.signal.aborted && !signal.aborted) throw failed.signal.reason
  return ended.flatMap((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}

/** Asks a copy one question after another in an isolated process; one that hangs costs its process, not the others. */
export async function examine(subject: Subject, questions: readonly Question[], signal: AbortSignal): Promise<Check[]> {
  const checks: Check[] = []
  let examiner: SqliteProcess | null = null
  try {
    for (const question of questions) {
      if (!examiner) {
        examiner = startExaminer(subject, signal)
        await examiner.next('opened')
      }
      const begun = performance.now()
      const answer = await ask(examiner, question)
      if (answer.missing !== null) throw cannotVerify(subject, answer.missing)
      const { ok, detail } = answer
      checks.push({ name: question.name, ok, detail, duration_ms: Math.round(performance.now() - begun) })
      if (!answer.alive) {
        await examiner[Symbol.asyncDispose]()
        examiner = null
      }
    }
    return checks
  } finally {
    await examiner?.[Symbol.asyncDispose]()
  }
}

function startExaminer({ path, scratch }: Subject, signal: AbortSignal): SqliteProcess {
  const failure = ({ code, text }: { readonly code: string; readonly text: string }) =>
    new SalvorError('RESTORE_FAILED', { target: path, reason: `SQLite does not open it (${code})` }, new Error(text))
  return startSqlite({ task: 'examine', path }, { scratch, signal, failure })
}

async function ask(examiner: SqliteProcess, { command, limit_ms }: Question) {
  examiner.tell(command)
  const examined = examiner.next('examined').then((answer) => ({ ...answer, alive: true }))
  if (limit_ms === null) return examined
  let timer: NodeJS.Timeout | undefined
  const detail = `no answer within ${limit_ms} ms`
  const late = new Promise<{ ok: boolean; detail: string; missing: null; alive: boolean }>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, detail, missing: null, alive: false }), limit_ms)
  })
  examined.catch(() => undefined)
  try {
    return await Promise.race([examined, late])
  } finally {
    clearTimeout(timer)
  }
}

function cannotVerify({ source }: Subject, missing: string): SalvorError {
  return new SalvorError('CANNOT_VERIFY_HERE', {
    what: source,
    missing: `the ${missing} of the application`,
    fix: 'restore it with `salvor restore --to` and check it with a program that registers it',
  })
}
