import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { bytesIn } from './workplace.ts'

/** Cost of one command: seconds of wall and CPU (the whole process tree that it waited for), highest Pss of the tree in MB. */
export interface Cost {
  readonly wall_s: number
  readonly cpu_s: number
  readonly peak_mb: number
}

export interface Runnable {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly input?: string
}

const PSS_EVERY_MS = 50

/** Runs a command to its end under bash's `time`, which counts user and system seconds of all children. Throws when it fails. */
export async function measure(what: Runnable): Promise<Cost> {
  const env = { ...process.env, ...what.env, TIMEFORMAT: '%R %U %S' }
  const child = spawn('bash', ['-c', 'time "$@"', 'time', what.command, ...what.args], {
    cwd: what.cwd ?? process.cwd(),
    env,
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  child.stdin.end(what.input ?? '')
  const errors: Buffer[] = []
  child.stderr.on('data', (data: Buffer) => errors.push(data))
  let peak = 0
  const sampler = setInterval(() => (peak = Math.max(peak, childrenPss(child.pid ?? 0))), PSS_EVERY_MS)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  clearInterval(sampler)
  const text = Buffer.concat(errors).toString().trimEnd()
  if (code !== 0) throw new Error(`${what.command} ${what.args.join(' ')} ended with ${code}: ${text.slice(-2000)}`)
  const [wall = 0, user = 0, system = 0] = text.split('\n').at(-1)?.split(' ').map(Number) ?? []
  return { wall_s: wall, cpu_s: user + system, peak_mb: peak / 1e6 }
}

/** Proportional set size of a process and its descendants, bash itself left out, in bytes. */
function childrenPss(root: number): number {
  return treeOf(root)
    .slice(1)
    .reduce((sum, pid) => sum + pss(pid), 0)
}

/** Proportional set size of a process and its descendants, in bytes. */
export function treePss(root: number): number {
  return treeOf(root).reduce((sum, pid) => sum + pss(pid), 0)
}

/** User and system seconds of a process and its descendants so far, those that it waited for included. */
export function treeCpu(root: number): number {
  return treeOf(root).reduce((sum, pid) => sum + cpu(pid), 0)
}

function treeOf(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = Number(statOf(Number(name))[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)]
  return below(root)
}

/** Fields of /proc/PID/stat from the state on. */
function statOf(pid: number): readonly string[] {
  const stat = read(`/proc/${pid}/stat`)
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

const TICKS_A_SECOND = 100

function cpu(pid: number): number {
  const ticks = statOf(pid).slice(11, 15).map(Number)
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS_A_SECOND
}

function pss(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Cost of a backup of what changed, and the bytes that it added. */
export interface Added extends Cost {
  readonly stored: number
}

export async function added(folder: string, command: Runnable): Promise<Added> {
  const before = bytesIn(folder)
  const cost = await measure(command)
  return { ...cost, stored: bytesIn(folder) - before }
}

/** Middle of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

export function medianCost(costs: readonly Cost[]): Cost {
  return {
    wall_s: median(costs.map((cost) => cost.wall_s)),
    cpu_s: median(costs.map((cost) => cost.cpu_s)),
    peak_mb: Math.max(...costs.map((cost) => cost.peak_mb)),
  }
}
