import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the checkout keeps the server that it unpacked itself. */
const OWN = fileURLToPath(new URL('../../../../.cache/redis/redis-server', import.meta.url))

/** First program that runs, null when there is none. */
export function redisProgram(): string | null {
  const names = [process.env['REDIS_SERVER'] ?? '', 'redis-server', 'valkey-server', OWN]
  return names.find((name) => name !== '' && spawnSync(name, ['--version']).status === 0) ?? null
}

/** Says the server's pid, and stops the server when the pipe to this process closes, for whatever reason. */
const WATCHED = `exec 3<&0
"$@" </dev/null 3<&- >>redis.log 2>&1 & server=$!
echo $server
{ read -r _ <&3; kill -KILL $server; } >/dev/null 2>&1 & watch=$!
wait $server
kill $watch 2>/dev/null`

export interface RedisProcess {
  /** What the server said before it ended; null while it runs. */
  ended(): string | null
  kill(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** On loopback only, with its files in `folder`; nothing is saved unless the settings say so. */
export function spawnRedis(
  program: string,
  folder: string,
  port: number,
  settings: readonly (readonly [string, string])[],
): RedisProcess {
  const fixed = [
    ['port', String(port)],
    ['bind', '127.0.0.1'],
    ['dir', folder],
    ['save', ''],
  ] as const
  const args = [...fixed, ...settings].flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn('/bin/sh', ['-c', WATCHED, 'sh', program, ...args], { cwd: folder, stdio: 'pipe' })
  child.stderr.resume()
  child.stdin.on('error', () => undefined)
  const exited = once(child, 'exit')
  const pid = once(child.stdout, 'data').then(([line]) => Number(String(line)))
  return {
    ended: () => (child.exitCode === null ? null : readFileSync(join(folder, 'redis.log'), 'utf8').slice(-1000)),
    async kill(signal) {
      if (child.exitCode === null) process.kill(await pid, signal)
      await exited
    },
  }
}
