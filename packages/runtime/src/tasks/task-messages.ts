import type { TaskTable } from '@salvor/shared/ports/tasks'
import type { Failure, RunProgress } from '@salvor/shared/vocabulary/run'
import type { LogLevel } from '../log.ts'
import type { TaskName } from './perform-task.ts'

/** What a service tells its task process, once. It travels on a private pipe: nothing of it is in argv or environ. */
export interface TaskOrder {
  readonly task: TaskName
  readonly input: TaskTable[TaskName]['input']
  readonly file: string
  /** The configuration that is in force, which may be older than the file. */
  readonly text: string
  /** Values of the variables that the file names. */
  readonly env: Readonly<Record<string, string>>
  readonly scratch_dir: string
  readonly log_level: LogLevel
}

/** What a task process tells. The last one is `done` or `failed`; then it waits for the pipe to be closed. */
export type TaskReport =
  | { readonly kind: 'progress'; readonly progress: RunProgress }
  | { readonly kind: 'done'; readonly output: unknown }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly facts: Readonly<Record<string, string>> }
