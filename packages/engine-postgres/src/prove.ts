import type { EngineContext, SnapshotFacts } from '@salvor/shared/ports/engine'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { CLEANLY_SHUT_DOWN, ControlFileUnknown } from './data-folder/control-file.ts'
import { examine, extensionsOf, type Extension } from './sandbox/extension-checks.ts'
import { lackSaid } from './sandbox/missing.ts'
import { verifyPages } from './sandbox/pages.ts'
import { serverPrograms } from './sandbox/programs.ts'
import { Sandbox } from './sandbox/sandbox.ts'
import { runSourceChecks } from './sandbox/source-checks.ts'
import { readTables } from './sandbox/tables.ts'

export interface ProofRequest {
  readonly folder: string
  readonly checks: readonly string[]
  readonly facts: SnapshotFacts['engine_facts']
  /** Where the source's checks run. */
  readonly database: string
}

const READ_BUDGET_MS = 300_000
/** For each of the extensions that look for damage. */
const EXAMINE_BUDGET_MS = 120_000

/**
 * Starts a server of the source's major on a restored copy, alone and without a network, and looks at everything: replay,
 * page checksums, databases, tables, the source's checks, an orderly stop. Stops at the first thing without which the
 * rest cannot be looked at. The copy is changed by it.
 */
export async function prove(
  context: EngineContext,
  request: ProofRequest,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const folder = resolve(request.folder)
  const major = await majorOf(folder, context.source)
  await using programs = await serverPrograms(context.source, major, context.server_programs)
  try {
    await using sandbox = await Sandbox.around(folder, context.scratch_dir, programs.bin, major)
    return await new Proof(context, request, { sandbox, major }, signal).run()
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ControlFileUnknown)) throw error
    return [{ name: 'recovery', ok: false, detail: error.message, duration_ms: 0 }]
  }
}

export async function majorOf(folder: string, source: string): Promise<number> {
  const text = await readFile(join(folder, 'PG_VERSION'), 'latin1').catch(() => '')
  const major = Number(text.trim())
  if (Number.isInteger(major) && major > 0) return major
  throw new SalvorError('RESTORE_FAILED', { target: folder, reason: `${source} did not come back as a data folder` })
}

type Verdict = Pick<Check, 'ok' | 'detail'>

class Proof {
  readonly #context: EngineContext
  readonly #request: ProofRequest
  readonly #sandbox: Sandbox
  readonly #major: number
  readonly #signal: AbortSignal
  readonly #checks: Check[] = []

  constructor(
    context: EngineContext,
    request: ProofRequest,
    { sandbox, major }: { readonly sandbox: Sandbox; readonly major: number },
    signal: AbortSignal,
  ) {
    this.#context = context
    this.#request = request
    this.#sandbox = sandbox
    this.#major = major
    this.#signal = signal
  }

  async run(): Promise<readonly Check[]> {
    const { source, now } = this.#context
    if (!(await this.#look('recovery', () => this.#recovery()))) return this.#checks
    await this.#look('page checksums', () => this.#pages())
    if (!(await this.#look('server starts', () => this.#start()))) return this.#checks
    await this.#look('tables', () => this.#tables())
    for (const extension of extensionsOf(this.#major)) {
      await this.#look(extension.objects, () => this.#extension(extension))
    }
    const { database, checks } = this.#request
    this.#checks.push(...(await runSourceChecks(this.#sandbox, { source, database, checks }, now, this.#signal)))
    await this.#look('server stops', () => this.#stop())
    return this.#checks
  }

  async #look(name: string, act: () => Promise<Verdict>): Promise<boolean> {
    this.#context.progress({ phase: `prove: ${name}`, done_bytes: 0, total_bytes: null })
    const began = this.#context.now()
    const verdict = await act()
    this.#checks.push({ name, ...verdict, duration_ms: Math.round(elapsedMs(began, this.#context.now())) })
    return verdict.ok
  }

  async #recovery(): Promise<Verdict> {
    const from = this.#request.facts['start_lsn']
    const to = this.#request.facts['stop_lsn']
    const replayed = typeof to === 'string' ? `WAL replayed from ${String(from)} to ${to}` : 'WAL replayed'
    return (await this.#sandbox.recover(this.#signal)) ? { ok: true, detail: replayed } : this.#gaveUp()
  }

  async #pages(): Promise<Verdict> {
    const control = await this.#sandbox.control()
    if (!control.dataChecksums) return { ok: true, detail: 'off: the cluster has no data checksums' }
    const { pages, files, bad, firstBad } = await verifyPages(this.#sandbox.data, control, this.#signal)
    const counted = `${pages} pages in ${files} files`
    return bad === 0
      ? { ok: true, detail: counted }
      : { ok: false, detail: `${bad} bad pages of ${counted}, the first in ${firstBad}` }
  }

  async #start(): Promise<Verdict> {
    if (!(await this.#sandbox.start(this.#signal))) return this.#gaveUp()
    return { ok: true, detail: `PostgreSQL ${await this.#version()}` }
  }

  async #version(): Promise<string> {
    await using link = await this.#sandbox.connect('template1', this.#signal)
    return link.parameters.get('server_version') ?? 'of unknown version'
  }

  async #tables(): Promise<Verdict> {
    const { now, source } = this.#context
    const began = now()
    const budget = { leftMs: () => READ_BUDGET_MS - elapsedMs(began, now()) }
    const read = await readTables(this.#sandbox, source, budget, this.#signal)
    if (read.problem !== null) return { ok: false, detail: read.problem }
    const all = `${read.tables} of ${read.tables + read.skipped} tables read to their end in ${read.databases} databases`
    return { ok: true, detail: read.skipped === 0 ? all : `${all}; no time for the others` }
  }

  async #extension(extension: Extension): Promise<Verdict> {
    const { now, source } = this.#context
    const began = now()
    const budget = { leftMs: () => EXAMINE_BUDGET_MS - elapsedMs(began, now()) }
    const { name } = extension
    const { available, problem, checked, skipped } = await examine(
      this.#sandbox,
      extension,
      source,
      budget,
      this.#signal,
    )
    if (!available) return { ok: true, detail: `not looked at: the PostgreSQL here has no ${name}` }
    if (problem !== null) return { ok: false, detail: `${problem} (${name})` }
    const all = `${checked} of ${checked + skipped} (${name})`
    return { ok: true, detail: skipped === 0 ? all : `${all}; no time for the others` }
  }

  async #stop(): Promise<Verdict> {
    const stopped = await this.#sandbox.stop(this.#signal)
    const { state } = await this.#sandbox.control()
    return stopped && CLEANLY_SHUT_DOWN.includes(state) ? { ok: true, detail: 'in order' } : this.#gaveUp()
  }

  /** A server that stopped because something is missing on this machine says nothing about the copy. */
  async #gaveUp(): Promise<Verdict> {
    const words = await this.#sandbox.lastWords()
    const lack = lackSaid(words, this.#context.source)
    if (lack !== null) throw lack
    return { ok: false, detail: words }
  }
}
