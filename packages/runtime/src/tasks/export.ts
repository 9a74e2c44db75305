import { mkdir, mkdtemp, open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { restoreToScratch } from './restore-to-scratch.ts'
import type { TaskContext } from './task-context.ts'

const INDEX = 'tables.json'

/** Writes what a backup holds as files for other programs. They are put into place when all of them are whole. */
export async function exportBackup(
  { source, chain, target, format, parts }: TaskTable['export']['input'],
  context: TaskContext,
): Promise<TaskTable['export']['output']> {
  await assertNew(target)
  const {
    engine,
    target: restored,
    restored: facts,
    engine_facts,
  } = await restoreToScratch(source, chain, context, {
    needs: (able) => {
      const fix = `salvor restore ${source} --to TARGET`
      if (!able.export) throw new SalvorError('NOT_AVAILABLE', { what: `an export of ${source}`, fix })
    },
  })
  await mkdir(dirname(target), { recursive: true })
  const folder = await mkdtemp(`${target}.salvor-`)
  try {
    const files = await engine.export!({ restored, folder, format, parts, engine_facts }, context.signal)
    await writeFile(join(folder, INDEX), `${JSON.stringify({ source, format, tables: files }, null, 1)}\n`, {
      mode: 0o600,
    })
    await syncAll(folder)
    await assertNew(target)
    await rmdir(target).catch(() => undefined)
    await rename(folder, target)
    await sync(dirname(target))
    return { files, recovered_to: facts.recovered_to }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new SalvorError('DISK_FULL', { what: target }, error)
    throw error
  }
}

async function assertNew(target: string): Promise<void> {
  const entries = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    if (error.code === 'ENOTDIR') return [target]
    throw new SalvorError('RESTORE_FAILED', { target, reason: `it cannot be looked at (${error.code})` }, error)
  })
  if (entries.length > 0) throw new SalvorError('TARGET_NOT_EMPTY', { target })
}

async function syncAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true })) await sync(join(folder, entry))
  await sync(folder)
}

async function sync(path: string): Promise<void> {
  await using file = await open(path, 'r')
  await file.sync()
}
