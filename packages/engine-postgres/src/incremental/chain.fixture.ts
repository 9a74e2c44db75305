import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Increment, ParentBackup, RestoreFacts, RestoreRequest, SnapshotFacts } from '@salvor/shared/ports/engine'
import { newerPrograms, type NewerMajor, type PostgresMajor } from '@salvor/testkit/real/postgres-programs'
import { contentOf, environmentOf, fileSink, never } from '../engine.fixture.ts'
import type { Environment } from '../environment.ts'
import { merge } from '../merge.ts'
import { prove } from '../prove.ts'
import { restore } from '../restore.ts'
import { VERSION_GATES, type VersionGate } from './gates.ts'
import { takeChanges, takeFull } from './take.ts'

// Chains of backups for tests: artifacts and digests in plain files of one folder.

/** What a chain of a server's own incrementals is tested with. */
export interface NativeMeans {
  readonly start: { readonly bin?: string }
  readonly versionGates: readonly VersionGate[]
  /** Of its proofs. */
  readonly programs: readonly string[]
}

/** A server past the gates where there is one; else an older one, which is known to forget pages of visibility maps, and no gate. */
export function nativeMeans(major: PostgresMajor): NativeMeans {
  const { bin } = newerPrograms(major as NewerMajor)
  return bin === null
    ? { start: {}, versionGates: [], programs: [] }
    : { start: { bin }, versionGates: VERSION_GATES, programs: [bin] }
}

export interface Link {
  readonly id: string
  readonly file: string
  readonly facts: SnapshotFacts
  readonly digests: string
}

export class ChainOfBackups {
  readonly links: Link[] = []
  readonly #url: string
  readonly #folder: string
  readonly #more: Partial<Environment>
  readonly #programs: readonly string[]

  /** `programs`: where its proofs look for a server first. */
  constructor(url: string, folder: string, more: Partial<Environment> = {}, programs: readonly string[] = []) {
    this.#url = url
    this.#folder = folder
    this.#more = more
    this.#programs = programs
  }

  env(more: Partial<Environment> = {}): Environment {
    const env = environmentOf(this.#url, this.#folder)
    return { ...env, context: { ...env.context, server_programs: this.#programs }, ...this.#more, ...more }
  }

  /** The same backups, gone on with from another server of the cluster. */
  on(url: string): ChainOfBackups {
    const next = new ChainOfBackups(url, this.#folder, this.#more, this.#programs)
    next.links.push(...this.links)
    return next
  }

  async full(): Promise<Link> {
    return await this.#keep((sink) => takeFull(this.env(), sink, never))
  }

  /** On the newest backup. */
  async increment(more: Partial<Environment> = {}): Promise<Link> {
    const options = { skipUnchanged: false }
    return await this.#keep(async (sink) => (await takeChanges(this.env(more), this.#parent, sink, never, options))!)
  }

  /** Whether one that a schedule asks for is skipped. */
  async isUnchanged(): Promise<boolean> {
    using sink = fileSink(join(this.#folder, 'unchanged.tar'))
    return (await takeChanges(this.env(), this.#parent, sink, never, { skipUnchanged: true })) === null
  }

  get #parent(): ParentBackup {
    const { id, facts, digests } = this.links.at(-1)!
    const { consistent_at, engine_facts } = facts
    return { id, consistent_at, engine_facts, digests }
  }

  async #keep(take: (sink: ReturnType<typeof fileSink>) => Promise<SnapshotFacts>): Promise<Link> {
    const id = `backup-${this.links.length}`
    const file = join(this.#folder, `${id}-${Math.trunc(performance.now() * 1000)}.tar`)
    using sink = fileSink(file)
    const facts = await take(sink)
    const digests = `${file}.digests`
    copyFileSync(facts.digests!, digests)
    this.links.push({ id, file, facts, digests })
    return this.links.at(-1)!
  }

  get increments(): Increment[] {
    return this.links.slice(1).map(({ id, file, facts: { consistent_at, engine_facts } }) => ({
      id,
      consistent_at,
      engine_facts,
      open: (work) => work(contentOf(file, 65_536 + 11)),
    }))
  }

  /** A folder for each artifact, as tar unpacks it. */
  unpacked(): string[] {
    return this.links.map(({ file, id }) => {
      const folder = `${file}-unpacked-${id}`
      mkdirSync(folder)
      const { status, stderr } = spawnSync('tar', ['-xpf', file, '-C', folder], { encoding: 'utf8' })
      if (status !== 0) throw new Error(`tar: ${stderr}`)
      return folder
    })
  }

  /** A chain that begins with this one put together. */
  async merged(): Promise<ChainOfBackups> {
    const [full, ...rest] = this.links as [Link, ...Link[]]
    const tip = rest.at(-1)!
    const merged = new ChainOfBackups(this.#url, this.#folder, this.#more, this.#programs)
    await merged.#keep(async (sink) => {
      const request = { increments: this.increments, digests: () => Promise.resolve(tip.digests) }
      const { context } = this.env()
      const facts = await merge(context, contentOf(full.file, 65_536 + 7), request, sink, never)
      if (readdirSync(context.scratch_dir).length > 0) throw new Error('a merge left something behind')
      return { ...tip.facts, ...facts }
    })
    return merged
  }

  /** With its tablespaces inside. */
  async restore(target: string, more: Partial<RestoreRequest> = {}): Promise<RestoreFacts> {
    const [full] = this.links as [Link]
    const { engine_facts } = full.facts
    const { increments } = this
    const request = { target, in_place: false, engine_facts, increments, tablespaces: 'inside', ...more } as const
    return await restore(this.env().context, contentOf(full.file, 100_003), request, never)
  }

  /** The failed checks. */
  async prove(target: string, checks: readonly string[] = []) {
    const facts = this.links.at(-1)!.facts.engine_facts
    const all = await prove(this.env().context, { folder: target, checks, facts, database: 'postgres' }, never)
    return all.filter(({ ok }) => !ok)
  }
}

const RUNTIME = /^(?:global\/pg_control|.*pg_internal\.init.*|.*\/pgsql_tmp.*)$/

/** Names of the files of tables and indexes that differ between two data folders; `length` too where only one has it. */
export function differences(one: string, other: string): string[] {
  const names = new Set([...filesOf(one), ...filesOf(other)])
  return [...names].filter((name) => {
    const sizes = [one, other].map((folder) => statSync(join(folder, name), { throwIfNoEntry: false })?.size)
    if (sizes[0] !== sizes[1]) return true
    return !readFileSync(join(one, name)).equals(readFileSync(join(other, name)))
  })
}

function filesOf(folder: string): string[] {
  return ['base', 'global', 'pg_tblspc'].flatMap((top) =>
    readdirSync(join(folder, top), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .filter((name) => !RUNTIME.test(name)),
  )
}
