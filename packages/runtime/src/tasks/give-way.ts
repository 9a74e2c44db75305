import { getPriority, setPriority } from 'node:os'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import type { Adapters } from '../adapters/installed-adapters.ts'
import type { LoadedConfig } from '../config/loaded-config.ts'
import type { TaskName } from './perform-task.ts'

/** A third of what others get of a busy core. */
const BEHIND = 5
/** They read and write stores alone. */
const BEHIND_ALWAYS: ReadonlySet<TaskName> = new Set(['merge', 'compact'])

/**
 * Puts this thread, and those that it will begin, behind others, where nobody waits for the task but the one who asked for it. A backup
 * would else keep the worker's own streams of WAL from their cores. Snapshots that hold a lock of the source are left as they are.
 */
export async function giveWay(order: Order, config: LoadedConfig, adapters: Adapters): Promise<void> {
  if (!BEHIND_ALWAYS.has(order.task) && !(await isPatient(order, config, adapters))) return
  // Somebody has put it further behind.
  if (getPriority() < BEHIND) setPriority(BEHIND)
}

interface Order {
  readonly task: TaskName
  readonly input: TaskTable[TaskName]['input']
}

async function isPatient({ task, input }: Order, { settings }: LoadedConfig, adapters: Adapters): Promise<boolean> {
  if (task !== 'snapshot') return false
  const engine = settings.sources.get((input as TaskTable['snapshot']['input']).source)?.engine
  return engine !== undefined && (await adapters.load('engine', engine))?.gives_way === true
}
