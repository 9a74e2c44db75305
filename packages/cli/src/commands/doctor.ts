import { loadConfig } from '@salvor/runtime/config/load-config'
import { createLog } from '@salvor/runtime/log'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import pc from 'picocolors'
import type { GlobalOptions } from '../context.ts'
import type { DoctorCheck } from '../doctor/check.ts'
import { checkCatalog, checkKeys, checkRedis, checkSandbox, checkStore } from '../doctor/places.ts'
import { checkFiles, checkSources } from '../doctor/sources.ts'
import { done, type Answer } from '../output.ts'

/** `salvor doctor [SOURCE]`: looks at everything that a backup needs, and says what to do about what is missing. Changes nothing. */
export async function doctor(source: string | undefined, options: GlobalOptions, signal: AbortSignal): Promise<Answer> {
  const config = await loadConfig(options.config, process.env)
  const { sources, stores } = config.settings
  if (source !== undefined && !sources.has(source)) throw new SalvorError('SOURCE_UNKNOWN', { source })
  const log = createLog({ level: 'error', secrets: () => config.secrets, facts: { process: 'cli', pid: process.pid } })
  const places = [...stores.keys()].filter(
    (name) => source === undefined || sources.get(source)!.copies.some((copy) => copy.store === name),
  )
  const found = await Promise.all([
    checkCatalog(config),
    checkKeys(config),
    checkRedis(config.redis_url ?? (process.env['SALVOR_REDIS_URL'] || null), log),
    checkSandbox(config),
    ...places.map((name) => checkStore(config, name, signal)),
    checkSources(config, source === undefined ? [...sources.keys()] : [source], log, signal),
  ])
  signal.throwIfAborted()
  const checks = [
    { name: 'configuration', ok: true, detail: config.file, hint: '' },
    ...(source === undefined ? checkFiles(config) : []),
    ...found.flat(),
  ]
  const ok = checks.every((check) => check.ok)
  return done({ ok, checks }, checks.flatMap(linesOf), ok ? EXIT.done : EXIT.failed)
}

function linesOf({ name, ok, detail, hint }: DoctorCheck): string[] {
  const mark = ok ? (hint === '' ? pc.green('✓') : pc.yellow('!')) : pc.red('✗')
  return [`${mark} ${name}  ${pc.dim(detail)}`, ...(hint === '' ? [] : [`    ${pc.dim('→')} ${hint}`])]
}
