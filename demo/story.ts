import { renderSlack } from '@salvor/channel-slack/render'
import type { SlackMessage } from '@salvor/channel-slack/message'
import type { Catalog } from '@salvor/shared/ports/catalog'
import type { MessageReceiver } from '@salvor/testkit/real/message-receiver'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { Verification } from '@salvor/shared/vocabulary/verification'
import type { Run } from '@salvor/shared/vocabulary/run'

/** What a source must show before the demo is content. */
interface Chapter {
  readonly taken: boolean
  readonly copied: boolean
  readonly proven: boolean
  readonly told: boolean
  readonly scheduled: boolean
}

/** Follows the way of each backup in the catalog and prints each step once, as it happens. */
export class Story {
  readonly #catalog: Catalog
  readonly #receiver: MessageReceiver
  readonly #print: (source: string, step: string, text: string) => void
  readonly #printed = new Set<string>()
  readonly #due = new Set<string>()
  readonly #chapters = new Map<string, Chapter>()

  constructor(
    catalog: Catalog,
    receiver: MessageReceiver,
    print: (source: string, step: string, text: string) => void,
  ) {
    this.#catalog = catalog
    this.#receiver = receiver
    this.#print = print
  }

  /** Looks once. True when every source has been through the whole way, a scheduled tick included. */
  async look(sources: readonly string[]): Promise<boolean> {
    for (const source of sources) await this.#lookAt(source)
    return sources.every((source) => {
      const chapter = this.#chapters.get(source)
      return chapter !== undefined && Object.values(chapter).every(Boolean)
    })
  }

  /** True once each source has a backup. */
  taken(sources: readonly string[]): boolean {
    return sources.every((source) => this.#chapters.get(source)?.taken === true)
  }

  /** True once the schedule of each source has fired. */
  due(sources: readonly string[]): boolean {
    return sources.every((source) => this.#due.has(source))
  }

  /** Steps that are still missing, for the verdict. */
  missing(sources: readonly string[]): string[] {
    return sources.flatMap((source) => {
      const chapter = this.#chapters.get(source)
      const open = chapter
        ? Object.entries(chapter)
            .filter(([, done]) => !done)
            .map(([step]) => step)
        : ['everything']
      return open.length === 0 ? [] : [`${source}: ${open.join(', ')}`]
    })
  }

  async #lookAt(source: string): Promise<void> {
    const backups = (await this.#catalog.backups({ source, limit: 20 })).toReversed()
    const runs = await this.#catalog.runs({ source, jobs: ['take-backup'], limit: 20 })
    for (const run of runs) this.#failed(source, run)
    const ticks = runs.filter((run) => triggerOf(run) === 'schedule')
    if (ticks.length > 0) this.#due.add(source)
    const scheduled = ticks.some((run) => run.state === 'succeeded')
    let best: Chapter = { taken: false, copied: false, proven: false, told: false, scheduled }
    for (const backup of backups) {
      const chapter = { ...(await this.#backup(backup, runs)), scheduled }
      if (chapter.taken && chapter.copied && chapter.proven && chapter.told) best = chapter
      else if (!best.taken) best = chapter
    }
    this.#chapters.set(source, best)
  }

  async #backup(backup: BackupWithCopies, runs: readonly Run[]): Promise<Omit<Chapter, 'scheduled'>> {
    const { source, filename } = backup
    const by =
      triggerOf(runs.find((run) => backupOf(run) === backup.id)) === 'schedule' ? 'scheduled tick' : 'first start'
    const ratio = (backup.source_bytes / Math.max(1, backup.size_bytes)).toFixed(1)
    const seal = backup.encrypted ? ', encrypted' : ''
    this.#once(
      `taken ${backup.id}`,
      source,
      'taken',
      `${filename}: ${mb(backup.source_bytes)} → ${mb(backup.size_bytes)} (${ratio}:1${seal}) in ${s(backup.duration_ms)}, ${by}`,
    )
    for (const copy of backup.copies) {
      if (copy.state === 'pending') continue
      this.#once(`copied ${backup.id} ${copy.store}`, source, 'copied', `${copy.store}: ${copy.key}`)
    }
    const looks = await this.#catalog.verifications(backup.id)
    for (const look of looks) this.#verification(backup, look)
    const message = this.#receiver.messages.find(
      (one) => one.kind === 'slack' && JSON.stringify(one.body).includes(filename),
    )
    if (message) {
      const lines = renderSlack(message.body as unknown as SlackMessage).split('\n')
      // The first one as the reader would see it, the others by their headline.
      const whole = ['Slack shows:', ...lines.map((line) => `│ ${line}`)].join('\n')
      const first = !this.#printed.has(`told ${source}`)
      this.#once(`told ${backup.id}`, source, 'told', first ? whole : `Slack: ${lines[0] ?? ''}`)
      this.#printed.add(`told ${source}`)
    }
    return {
      taken: true,
      copied: backup.copies.every((copy) => copy.state !== 'pending'),
      proven: backup.state === 'proven',
      told: message !== undefined,
    }
  }

  #verification(backup: BackupWithCopies, look: Verification): void {
    const step = !look.ok ? 'CORRUPT' : look.level === 'restore' ? 'proven' : 'verified'
    const checks = look.checks.map(
      (check) => `${check.ok ? '✓' : '✗'} ${check.name}${check.detail ? ` (${check.detail})` : ''}`,
    )
    const what = look.level === 'restore' ? 'restored in a sandbox, opened by the real engine' : look.level
    const text = [
      `${look.store}: ${what}, ${s(look.duration_ms)}`,
      ...(look.level === 'restore' ? checks.map((check) => `│ ${check}`) : []),
    ]
    this.#once(`look ${look.id}`, backup.source, step, text.join('\n'))
  }

  #failed(source: string, run: Run): void {
    if (run.error && run.state !== 'succeeded')
      this.#once(`failed ${run.id} ${run.failures}`, source, 'FAILED', `${run.error.message} → ${run.error.hint}`)
  }

  #once(key: string, source: string, step: string, text: string): void {
    if (this.#printed.has(key)) return
    this.#printed.add(key)
    this.#print(source, step, text)
  }
}

function triggerOf(run: Run | undefined): string {
  return (run?.params as { trigger?: string } | undefined)?.trigger ?? ''
}
function backupOf(run: Run): string {
  return (run.result as { backup_id?: string } | null)?.backup_id ?? ''
}
function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
function s(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`
}
