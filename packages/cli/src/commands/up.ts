import { loadConfig } from '@salvor/runtime/config/load-config'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { SERVICES } from '@salvor/shared/vocabulary/service'
import type { GlobalOptions } from '../context.ts'
import { done, type Answer } from '../output.ts'
import { startOwnRedis } from '../up/own-redis.ts'
import { supervise } from '../up/supervisor.ts'

/** `salvor up`: the five services in one process tree, until Ctrl-C. SIGHUP reloads the configuration of all. */
export async function up(options: GlobalOptions, signal: AbortSignal): Promise<Answer> {
  const say = (line: string): void => void process.stderr.write(`salvor up: ${line}\n`)
  const config = await loadConfig(options.config, process.env)
  await using redis = config.redis_url === null ? await ownRedis(config.settings.data_dir, say) : null
  const env = redis === null ? process.env : { ...process.env, SALVOR_REDIS_URL: redis.url }
  const [script = ''] = process.argv.slice(1)
  const ports = portsFrom(config.http_port)
  const children = SERVICES.map((name, index) => ({
    name,
    args: [script, 'service', name, '--config', config.file, ...(ports[index] ?? [])],
  }))
  say(`${SERVICES.join(', ')} start; Ctrl-C ends them`)
  const code = await supervise(children, env, say, signal)
  return done({ stopped: true }, [], code)
}

/** They share one file but no port: the scheduler has the one that it names, the others those that follow. */
function portsFrom(first: number | null): string[][] {
  if (first === null || first === 0) return []
  if (first + SERVICES.length - 1 > 65_535) {
    const reason = `http.port is ${first}: \`up\` needs the ${SERVICES.length - 1} ports after it too`
    throw new SalvorError('USAGE', { reason, command: 'up' })
  }
  return SERVICES.map((_name, index) => ['--port', String(first + index)])
}

/** Without any Redis the services find their work in the catalog, every few seconds instead of at once. */
async function ownRedis(dataDir: string, say: (line: string) => void) {
  for (const program of [process.env['REDIS_SERVER'], 'redis-server', 'valkey-server']) {
    if (program === undefined || program === '') continue
    try {
      return await startOwnRedis(program, dataDir)
    } catch (error) {
      if (!(error instanceof SalvorError)) throw error
    }
  }
  say('no redis-server here: the services look for their work every few seconds (set redis.url, or install Redis)')
  return null
}
