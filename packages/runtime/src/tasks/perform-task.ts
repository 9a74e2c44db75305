import type { TaskTable } from '@salvor/shared/ports/tasks'
import { loadKeyring } from '../keyring-file.ts'
import { ask } from './ask.ts'
import { compact } from './compact.ts'
import { exportBackup } from './export.ts'
import { hook } from './hook.ts'
import { inspect } from './inspect.ts'
import { inspectChanges } from './inspect-changes.ts'
import { inspectWal } from './inspect-wal.ts'
import { listContents } from './list-contents.ts'
import { merge } from './merge.ts'
import { prove } from './prove.ts'
import { restore } from './restore.ts'
import { snapshot } from './snapshot.ts'
import type { TaskBody, TaskContext } from './task-context.ts'

const BODIES: { readonly [K in keyof TaskTable]: TaskBody<K> } = {
  snapshot,
  merge,
  compact,
  inspect,
  'inspect-wal': inspectWal,
  'inspect-changes': inspectChanges,
  hook,
  prove,
  ask,
  restore,
  export: exportBackup,
  contents: listContents,
}

export type TaskName = keyof TaskTable

export type PerformTask = <K extends TaskName>(
  task: K,
  input: TaskTable[K]['input'],
  context: Omit<TaskContext, 'keyring'>,
) => Promise<TaskTable[K]['output']>

/** Runs a task in this process. */
export const performTask: PerformTask = async (task, input, context) => {
  const { config, clock } = context
  const place = { keyring_file: config.keyring_file, data_dir: config.settings.data_dir }
  const keyring = await loadKeyring(place, () => clock.now())
  return await BODIES[task](input, { ...context, keyring })
}
