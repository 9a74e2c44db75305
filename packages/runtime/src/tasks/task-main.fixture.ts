import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { fakeAdapters } from '../config/fake-adapters.fixture.ts'
import type { PerformTask } from './perform-task.ts'
import { serveTask } from './serve-task.ts'
import type { TaskContext } from './task-context.ts'

type Context = Omit<TaskContext, 'keyring'>

/** Task processes that misbehave in one way each; the way is the name of the store. */
const WAYS: Readonly<Record<string, (context: Context, input: { readonly manifest_key: string }) => Promise<unknown>>> =
  {
    answer: (_, input) =>
      Promise.resolve({ checks: [{ name: input.manifest_key, ok: true, detail: '', duration_ms: 1 }] }),
    facts: (context) =>
      Promise.resolve({ url: context.config.redis_url, secrets: context.config.secrets, umask: process.umask() }),
    environment: async () => ({
      environ: await readFile('/proc/self/environ', 'latin1'),
      cmdline: await readFile('/proc/self/cmdline', 'latin1'),
    }),
    fail: (context) => {
      const reason = `login with ${context.config.secrets[0]} failed`
      throw new SalvorError('SOURCE_UNREACHABLE', { source: 'app', where: 'h', reason }, new Error('cause'))
    },
    bug: () => Promise.reject(new TypeError('undefined is not a function')),
    thrown: async () => {
      setImmediate(() => {
        throw new Error('nobody catches this')
      })
      return await never()
    },
    exit: () => process.exit(7),
    crash: async () => {
      process.kill(process.pid, 'SIGKILL')
      return await never()
    },
    memory: () => {
      const held: unknown[] = []
      for (;;) held.push(Array.from({ length: 1000 }, (_, i) => ({ i })))
    },
    flood: async (context) => {
      for (let i = 0; i < 200_000; i++) {
        context.progress({ phase: 'flood', done_bytes: i, total_bytes: 1_000_000 })
        if (i % 1000 === 0) await new Promise(setImmediate)
      }
      return { checks: [] }
    },
    large: (context) => {
      context.progress({ phase: 'x'.repeat(5_000_000), done_bytes: 1, total_bytes: null })
      return Promise.resolve({ checks: Array.from({ length: 100_000 }, (_, i) => ({ name: `check ${i}` })) })
    },
    gentle: async (context) => {
      await begun(context)
      await aborted(context.signal)
      await writeFile(join(context.config.settings.data_dir, 'cleaned'), '')
      throw new SalvorError('INTERRUPTED')
    },
    late: async (context) => {
      await begun(context)
      await aborted(context.signal)
      return { checks: [] }
    },
    stubborn: async (context) => {
      await begun(context)
      return await never()
    },
    server: async (context) => {
      const server = spawn('sleep', ['600'], { stdio: 'ignore' })
      await writeFile(join(context.config.settings.data_dir, 'server'), String(server.pid))
      await begun(context)
      return await never()
    },
  }

/** Leaves something to be removed, and says that it is at work. */
async function begun(context: Context): Promise<void> {
  await writeFile(join(context.scratch_dir, 'half'), 'bytes')
  await writeFile(join(context.config.settings.data_dir, 'begun'), String(process.pid))
  context.progress({ phase: 'begun', done_bytes: process.pid, total_bytes: null })
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve())
  })
}

function never(): Promise<never> {
  return new Promise(() => {
    setInterval(() => {}, 1000)
  })
}

const perform: PerformTask = async (_task, input, context) => {
  const { store, manifest_key } = input as { readonly store: string; readonly manifest_key: string }
  return (await WAYS[store]?.(context, { manifest_key })) as never
}
serveTask(perform, fakeAdapters())
