import { statfs } from 'node:fs/promises'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { systemClock, systemIds } from '@salvor/runtime/clock'
import type { LoadedConfig } from '@salvor/runtime/config/loaded-config'
import { holderAlive } from '@salvor/runtime/holder'
import { readPrivate } from '@salvor/runtime/keyring-file'
import { openRedis } from '@salvor/runtime/queue/redis-link'
import { listKeys, parseKeyFile } from '@salvor/repository/key-file'
import type { Log } from '@salvor/shared/ports/log'
import { elapsedMs, instantOf, type Instant } from '@salvor/shared/vocabulary/instant'
import { bytes, span } from '../output.ts'
import { checked, good, type DoctorCheck } from './check.ts'

/** Clocks further apart than this make lists, leases and messages hard to understand. */
const CLOCK_MS = 2000

export const checkStore = (config: LoadedConfig, name: string, signal: AbortSignal): Promise<readonly DoctorCheck[]> =>
  checked(`store ${name}`, async () => {
    const store = await config.openStore(name)
    try {
      // Written and taken back: nothing that could be read is left.
      const writer = await store.create('doctor/probe', { size: 6 }, signal)
      try {
        await writer.write(Buffer.from('probe\n'))
      } finally {
        await writer.abort()
      }
      await store.head('doctor/probe', signal)
      const { free_bytes } = await store.space(signal)
      const room = free_bytes === null ? '' : `, ${bytes(free_bytes)} free`
      return [good(`store ${name}`, `${store.kind}, takes and lists objects${room}`)]
    } finally {
      await store.close()
    }
  })

export const checkCatalog = (config: LoadedConfig): Promise<readonly DoctorCheck[]> =>
  checked('catalog', async () => {
    const { data_dir } = config.settings
    const catalog = await openCatalog({ url: config.catalog_url, data_dir, ids: systemIds, holderAlive })
    try {
      const clock = await clockCheck('catalog', () => catalog.now())
      if (config.catalog_url === null) return [good('catalog', `embedded, in ${data_dir}`)]
      return [good('catalog', 'PostgreSQL'), clock]
    } finally {
      await catalog.close()
    }
  })

export const checkRedis = (url: string | null, log: Log): Promise<readonly DoctorCheck[]> =>
  checked('redis', async () => {
    if (url === null) return [good('redis', 'none is named: `salvor up` starts its own; single commands need none')]
    await using redis = await openRedis(url, log)
    await redis.check()
    const clock = await clockCheck('redis', async () => {
      const [seconds, micros] = await redis.sending.time()
      return instantOf(BigInt(seconds!) * 1_000_000n + BigInt(micros!))
    })
    return [good('redis', 'answers, and evicts nothing'), clock]
  })

async function clockCheck(whose: string, ask: () => Promise<Instant>): Promise<DoctorCheck> {
  const before = systemClock.now()
  const there = await ask()
  const took = elapsedMs(before, systemClock.now())
  const apart = Math.abs(elapsedMs(before, there) - took / 2)
  const detail = `${span(apart)} apart from this machine's`
  const ok = apart <= CLOCK_MS + took
  return { name: `clock of ${whose}`, ok, detail, hint: ok ? '' : 'run an NTP client on both (timedatectl)' }
}

const NOT_COMPACTED =
  'they cannot be compacted here, and until a worker compacts them restores read each one and none is thinned out'
const COMPACT_ELSEWHERE = 'where the private operating key may lie: salvor service backup-worker --jobs compact-changes'

export const checkKeys = (config: LoadedConfig): Promise<readonly DoctorCheck[]> =>
  checked('keys', async () => {
    const file = config.keyring_file
    if (file === null) return [good('keys', 'no keyring: backups are signed, and not encrypted', 'salvor keys create')]
    const keys = listKeys(parseKeyFile(await readPrivate(file), file))
    const purposes = (['signing', 'operating', 'recovery'] as const).map(
      (purpose) => `${keys.filter((key) => key.purpose === purpose).length} ${purpose}`,
    )
    const exposed = keys.some((key) => key.purpose === 'recovery' && key.private)
    const hint = exposed ? 'the private half of the recovery key lies in the keyring: put it into a safe instead' : ''
    const opens = keys.some((key) => key.purpose === 'operating' && key.private)
    const proofs = opens ? '' : '; no private operating key: proofs and restores need another machine'
    const found = [good('keys', `${file}: ${purposes.join(', ')}${proofs}`, hint)]
    const followed = [...config.settings.sources.values()].some(({ changes }) => changes !== undefined)
    return opens || !followed ? found : [...found, good('keys: change sets', NOT_COMPACTED, COMPACT_ELSEWHERE)]
  })

export const checkSandbox = (config: LoadedConfig): Promise<readonly DoctorCheck[]> =>
  checked('sandbox', async () => {
    const { bavail, bsize } = await statfs(config.sandbox_dir).catch(() => statfs(config.settings.data_dir))
    return [
      good('sandbox', `${config.sandbox_dir}, ${bytes(bavail * bsize)} free: a proof needs the size of the database`),
    ]
  })
