import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext } from '@salvor/shared/ports/engine'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { ProofRequest } from '../prove.ts'
import { runSourceChecks } from '../sandbox/source-checks.ts'
import { ProgramFailed } from './client-process.ts'
import { CONTENTS, Contents, DumpEnd, GLOBALS } from './contents.ts'
import { SandboxLoader } from './load-sandbox.ts'
import { restoreProgram } from './restore-program.ts'
import { dumpFile, endFile } from './restore-to-folder.ts'
import { compareRows } from './row-counts.ts'
import { emptyCluster, type SandboxCluster } from './sandbox-cluster.ts'

type Verdict = Pick<Check, 'ok' | 'detail'>

/**
 * Restores dump files into a new cluster of their own, alone and without a network: roles, then every database with all its objects,
 * its rows counted and compared; then the source's checks.
 */
export async function proveDump(
  context: EngineContext,
  request: ProofRequest,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const { checks, database, facts } = request
  const proof = await DumpProof.open(context, resolve(request.folder), facts, signal)
  await using cluster = await proof.cluster()
  const { sandbox } = cluster
  if (!(await proof.load(cluster))) return proof.checks
  proof.checks.push(
    ...(await runSourceChecks(sandbox, { source: context.source, database, checks }, context.now, signal)),
  )
  await proof.look('server stops', async () => {
    const stopped = await sandbox.stop(signal)
    return { ok: stopped, detail: stopped ? 'in order' : await sandbox.lastWords() }
  })
  return proof.checks
}

/** Dump files on their way into a sandbox. */
export class DumpProof {
  readonly checks: Check[] = []
  readonly #context: EngineContext
  readonly #folder: string
  readonly #contents: Contents
  readonly #facts: ProofRequest['facts']
  readonly #signal: AbortSignal

  private constructor(
    context: EngineContext,
    folder: string,
    contents: Contents,
    facts: ProofRequest['facts'],
    signal: AbortSignal,
  ) {
    this.#context = context
    this.#folder = folder
    this.#contents = contents
    this.#facts = facts
    this.#signal = signal
  }

  static async open(
    context: EngineContext,
    folder: string,
    facts: ProofRequest['facts'],
    signal: AbortSignal,
  ): Promise<DumpProof> {
    const text = await readFile(join(folder, CONTENTS), 'utf8').catch(() => null)
    if (text === null)
      throw new SalvorError('RESTORE_FAILED', {
        target: folder,
        reason: `${context.source} did not come back as dump files`,
      })
    return new DumpProof(context, folder, Contents.parse(JSON.parse(text)), facts, signal)
  }

  cluster(): Promise<SandboxCluster> {
    const { server_version_num: version, dump_version: program } = this.#contents
    const majors = { source: Math.floor(version / 10_000), program: Number.parseInt(program, 10) }
    return emptyCluster(this.#context, majors, this.#signal)
  }

  /** False: a database did not come back. */
  async load({ sandbox, major }: SandboxCluster): Promise<boolean> {
    const program = await restoreProgram(this.#context, this.#facts)
    await using loader = await SandboxLoader.open(this.#context, sandbox, program, this.#signal)
    const globals = await readFile(join(this.#folder, GLOBALS), 'utf8')
    await this.look('server starts', async () => {
      await loader.roles(globals)
      return { ok: true, detail: `an empty cluster of PostgreSQL ${major}` }
    })
    for (const database of this.#contents.databases) {
      const file = join(this.#folder, dumpFile(database))
      const came = await this.look(`database ${database.name}`, async () => {
        try {
          const difference = await loader.database(database, file)
          return await this.#compared(sandbox, database.name, join(this.#folder, endFile(database)), difference)
        } catch (error) {
          if (!(error instanceof ProgramFailed)) throw error
          const more = error.count > 1 ? ` (the first of ${error.count} errors)` : ''
          return { ok: false, detail: `${error.message}${more}` }
        }
      })
      if (!came) return false
    }
    return true
  }

  async #compared(
    sandbox: SandboxCluster['sandbox'],
    database: string,
    file: string,
    difference: string | null,
  ): Promise<Verdict> {
    const end = DumpEnd.parse(JSON.parse(await readFile(file, 'utf8')))
    await using link = await sandbox.connect(database, this.#signal)
    const { same, differs } = await compareRows(link, end.tables, this.#signal)
    if (differs !== null) return { ok: false, detail: differs }
    const others = end.uncounted === 0 ? '' : `, ${end.uncounted} were not counted then`
    const sorted = difference === null ? '' : `; ${difference}`
    return {
      ok: true,
      detail: `restored with every object; ${same} tables have the rows counted at the dump${others}${sorted}`,
    }
  }

  async look(name: string, act: () => Promise<Verdict>): Promise<boolean> {
    this.#context.progress({ phase: `prove: ${name}`, done_bytes: 0, total_bytes: null })
    const began = this.#context.now()
    const verdict = await act()
    this.checks.push({ name, ...verdict, duration_ms: Math.round(elapsedMs(began, this.#context.now())) })
    return verdict.ok
  }
}
