import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { HOOK_CHECK } from '@salvor/shared/vocabulary/verification'

interface About {
  readonly source: string
  readonly backup_id: string
  readonly target: string
}

type Outcome = 'succeeded' | 'failed' | 'not_started'

/**
 * Does `work` between the two commands of a source's `hooks`. `before` fails: HOOK_FAILED, and the work is not begun. `after` runs in every
 * case, also behind an abort: what was stopped has to come up again. When `after` fails behind work that was done, that is a check.
 */
export async function betweenHooks<T>(
  deps: Deps,
  about: About,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly checks: readonly Check[] }> {
  const { source, backup_id, target } = about
  const env = { SALVOR_SOURCE: source, SALVOR_BACKUP: backup_id, SALVOR_TARGET: target }
  const hooks = deps.settings().sources.get(source)?.hooks
  const checks: Check[] = []
  const quiet = (): void => undefined
  const after = async (outcome: Outcome): Promise<void> => {
    if (!hooks?.after) return
    const input = { source, which: 'after', env: { ...env, SALVOR_OUTCOME: outcome } } as const
    try {
      // Its own time limit ends it, nobody else.
      const { duration_ms } = await deps.tasks.run('hook', input, quiet, new AbortController().signal)
      checks.push({ name: `${HOOK_CHECK}after`, ok: true, detail: 'exit code 0', duration_ms })
    } catch (thrown) {
      const { message, code } = asSalvorError(thrown)
      deps.log.error({ source, code, outcome }, 'the command behind the restore failed')
      checks.push({ name: `${HOOK_CHECK}after`, ok: false, detail: message, duration_ms: 0 })
    }
  }
  let outcome: Outcome = 'not_started'
  try {
    if (hooks?.before) {
      const { duration_ms } = await deps.tasks.run('hook', { source, which: 'before', env }, quiet, signal)
      checks.push({ name: `${HOOK_CHECK}before`, ok: true, detail: 'exit code 0', duration_ms })
    }
    outcome = 'failed'
    const result = await work()
    outcome = 'succeeded'
    return { result, checks }
  } finally {
    await after(outcome)
  }
}
