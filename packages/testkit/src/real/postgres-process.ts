import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, openSync, closeSync, readdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { serverUser } from './postgres-programs.ts'

/**
 * Starts the server, and stops it at once when this process goes away for whatever reason: the pipe on file descriptor 3
 * closes then, and the second shell kills it. Then its own folder ($1, if any) goes, too: nobody else is left to do that.
 */
const WATCHED = `exec 3<&0
folder=$1; shift
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; [ -n "$folder" ] && : >"$folder/orphaned"; kill -QUIT $server; } 2>/dev/null & watch=$!
wait $server; status=$?
kill $watch 2>/dev/null
[ -n "$folder" ] && [ -e "$folder/orphaned" ] && cd / && rm -rf "$folder"
exit $status`

export type StopMode = 'fast' | 'immediate'

export interface PostgresProcess {
  readonly child: ChildProcess
  readonly exited: Promise<unknown>
}

/** `folder` is removed with all its content when this process dies before the server does. */
export function spawnPostgres(
  bin: string,
  dataDir: string,
  port: number,
  logFile: string,
  folder?: string,
): PostgresProcess {
  const log = openSync(logFile, 'a')
  const args = ['-D', dataDir, '-p', String(port)]
  const child = spawn('/bin/sh', ['-c', WATCHED, 'sh', folder ?? '', join(bin, 'postgres'), ...args], {
    ...serverUser,
    cwd: dataDir,
    stdio: ['pipe', log, log],
    env: { PATH: '/usr/bin:/bin', TZ: 'UTC', LC_ALL: 'C' },
  })
  closeSync(log)
  child.stdin!.on('error', () => undefined)
  return { child, exited: once(child, 'exit') }
}

/** Pid in postmaster.pid, null when there is none. */
export function postmasterPid(dataDir: string): number | null {
  const file = join(dataDir, 'postmaster.pid')
  if (!existsSync(file)) return null
  const pid = Number.parseInt(readFileSync(file, 'latin1'), 10)
  return Number.isInteger(pid) ? pid : null
}

export async function stopPostgres(server: PostgresProcess, dataDir: string, mode: StopMode): Promise<void> {
  const pid = postmasterPid(dataDir)
  if (pid !== null && server.child.exitCode === null) signal(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  await server.exited
}

/** As a power cut takes it: the postmaster and every process of it, with no time to say anything. */
export async function killPostgres(server: PostgresProcess, dataDir: string): Promise<void> {
  const pid = postmasterPid(dataDir)
  if (pid !== null) {
    const children = childrenOf(pid)
    signal(pid, 'SIGKILL')
    for (const child of children) signal(child, 'SIGKILL')
    while (children.some((child) => existsSync(`/proc/${child}`))) await sleep(5)
  }
  await server.exited
}

function childrenOf(parent: number): number[] {
  if (!existsSync('/proc/self/stat')) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
      } catch {
        return false
      }
    })
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
