import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Workplace } from './workplace.ts'

/** A backup worker as a process of its own, without Redis. */
export interface Worker extends AsyncDisposable {
  /** CPU seconds until now, its tasks' left out. */
  cpu(): number
  /** Megabytes of memory at this moment, its tasks' left out. */
  pss(): number
}

export function startWorker(place: Workplace): Worker {
  const { command, args, cwd } = place.salvor('service', 'backup-worker')
  const child = spawn(command, [...args], {
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said: Buffer[] = []
  child.stderr.on('data', (data: Buffer) => said.push(data))
  return {
    cpu() {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(
          `the worker ended (${child.exitCode ?? child.signalCode}): ${Buffer.concat(said).toString().slice(-2000)}`,
        )
      return cpuOf(child)
    },
    pss: () => Number(/^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8'))![1]) / 1000,
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGTERM')) await ended
    },
  }
}

const TICKS_PER_SECOND = 100

function cpuOf({ pid }: ChildProcess): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The value that so many of them do not exceed; `part` between 0 and 1. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN
}
