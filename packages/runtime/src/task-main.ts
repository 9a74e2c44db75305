import { performTask } from './tasks/perform-task.ts'
import { serveTask } from './tasks/serve-task.ts'

serveTask(performTask)
