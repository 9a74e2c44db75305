import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Adapters } from '../adapters/installed-adapters.ts'
import { fakeAdapters } from './fake-adapters.fixture.ts'
import { loadConfig } from './load-config.ts'
import type { Environment, LoadedConfig } from './loaded-config.ts'

const GOOD = `stores:
  local: { kind: disk, path: ./backups }
sources:
  app: { engine: filedb, path: ./app.db }
`

interface Folder {
  readonly path: string
  load(text: string, env?: Environment, adapters?: Adapters): Promise<LoadedConfig>
  /** The lines of the error, without the folder. */
  problems(text: string, env?: Environment): Promise<readonly string[]>
}

async function folder(files: Readonly<Record<string, string>> = {}): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'salvor-config-'))
  onTestFinished(() => rm(path, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text, { mode: 0o600 })
  const load = async (
    text: string,
    env: Environment = {},
    adapters: Adapters = fakeAdapters(),
  ): Promise<LoadedConfig> => {
    await writeFile(join(path, 'salvor.yaml'), text)
    return await loadConfig(join(path, 'salvor.yaml'), env, adapters)
  }
  return {
    path,
    load,
    async problems(text, env) {
      const error = await load(text, env).catch((thrown: unknown) => thrown)
      if (!(error instanceof SalvorError)) throw new Error('nothing was refused', { cause: error })
      expect(error.exit).toBe(2)
      const lines = error.message.replaceAll(`${path}/`, '').split('\n')
      return lines.length === 1 ? [`${lines[0]} → ${error.hint}`] : lines
    },
  }
}

test('a file of four lines is enough, and everything else has a default that serves', async () => {
  const at = await folder()
  const config = await at.load(GOOD)
  expect(config.settings).toMatchObject({ timezone: 'UTC', data_dir: join(at.path, 'salvor-data'), routes: [] })
  expect(config).toMatchObject({ catalog_url: null, redis_url: null, keyring_file: null, http_port: null, pools: [] })
  expect(config.sandbox_dir).toBe(join(at.path, 'salvor-data', 'sandbox'))
  expect(config.settings.sources.get('app')).toMatchObject({
    engine: 'filedb',
    pool: null,
    schedule: { full: '0 2 * * *', monthly: '0 3 L * *', quarterly: '0 4 1 */3 *' },
    retention: { incremental: '7d', full: '30d', monthly: '365d', quarterly: '7y', yearly: '7y', pre_restore: '7d' },
    copies: [{ store: 'local', classes: 'all' }],
    verify: { full: 'restore', incremental: 'decode', replicas: 'checksum' },
    encrypt: false,
    compression: { algorithm: 'zstd', level: 1 },
    artifact: 'db',
    types: ['full'],
  })
})

test('the default schedule has incrementals where the engine takes them', async () => {
  const at = await folder()
  const config = await at.load(GOOD, {}, fakeAdapters({ types: ['full', 'incremental'] }))
  expect(config.settings.sources.get('app')!.schedule['incremental']).toBe('0 23 * * *')
})

test('naming a schedule replaces the defaults; naming one retention keeps the others', async () => {
  const at = await folder()
  const config = await at.load(
    `${GOOD}  two: { engine: filedb, path: b, schedule: { full: "@daily" }, retention: { full: 90d } }`,
  )
  const two = config.settings.sources.get('two')!
  expect(two.schedule).toEqual({ full: '@daily' })
  expect(two.retention).toMatchObject({ full: '90d', monthly: '365d' })
})

test('relative paths begin at the folder of the file', async () => {
  const at = await folder({ keys: '{}' })
  const config = await at.load(`${GOOD}
data_dir: state
sandbox_dir: /elsewhere/box
encryption: { keyring_file: keys }
verifier: { postgres_bin: [bin, /usr/lib/pg] }`)
  expect(config.settings.data_dir).toBe(join(at.path, 'state'))
  expect(config.sandbox_dir).toBe('/elsewhere/box')
  expect(config.keyring_file).toBe(join(at.path, 'keys'))
  expect(config.server_programs).toEqual([join(at.path, 'bin'), '/usr/lib/pg'])
  const store = (await config.openStore('local')) as unknown as { config: { path: string } }
  expect(store.config.path).toBe(join(at.path, 'backups'))
  expect(config.settings.sources.get('app')!.encrypt).toBe(true)
})

test('an anchor spares writing a source twice', async () => {
  const at = await folder()
  const config = await at.load(`${GOOD.replace('app: {', 'app: &app {')}  two: *app`)
  expect(config.settings.sources.get('two')).toMatchObject({ name: 'two', engine: 'filedb' })
})

test('copies keep the order of the file, and stores of a number too', async () => {
  const at = await folder()
  const config = await at.load(`stores:
  b: { kind: disk, path: b }
  2: { kind: disk, path: two }
  1: { kind: disk, path: one }
sources:
  app: { engine: filedb, path: a }
  two: { engine: filedb, path: a, copies: { 2: [monthly, quarterly], 1: [full], b: all } }`)
  expect(config.settings.sources.get('app')!.copies.map((c) => c.store)).toEqual(['b', '2', '1'])
  expect(config.settings.sources.get('two')!.copies.map((c) => c.store)).toEqual(['2', '1', 'b'])
})

test('without routes every channel hears everything that a person should know', async () => {
  const at = await folder()
  const config = await at.load(`${GOOD}
notify: { a: { kind: bell, url: "https://bell.test/aaaaaaaaaaaaaaaaaaaa" }, b: { kind: bell, url: "https://bell.test/b" } }`)
  expect(config.settings.routes).toEqual([{ events: null, severity: null, to: ['a', 'b'] }])
})

test('routes name events by type, by group or all of them', async () => {
  const at = await folder()
  const config = await at.load(`${GOOD}
notify:
  a: { kind: bell, url: "https://bell.test/x" }
  routes: [ { events: [backup.failed, "copy.*", "*"], severity: critical, to: [a] }, { to: [a] } ]`)
  expect(config.settings.routes).toEqual([
    { events: ['backup.failed', 'copy.*', '*'], severity: 'critical', to: ['a'] },
    { events: null, severity: null, to: ['a'] },
  ])
})

describe('variables of the environment', () => {
  const redis = (value: string): string => `${GOOD}\nredis: { url: ${value} }`

  test('fill scalars, with a default for one that is unset or empty', async () => {
    const at = await folder()
    expect((await at.load(redis('"redis://${HOST}:${PORT:-6379}"'), { HOST: 'r' })).redis_url).toBe('redis://r:6379')
    expect((await at.load(redis('"${REDIS_URL:-}"'), {})).redis_url).toBeNull()
    expect((await at.load(redis('"${REDIS_URL:-redis://d}"'), { REDIS_URL: '' })).redis_url).toBe('redis://d')
    expect((await at.load(redis('"a$${HOST}b"'), {})).redis_url).toBe('a${HOST}b')
  })

  test('cannot bring YAML in', async () => {
    const at = await folder()
    const evil = 'x }\nhttp: { port: 1 }\nz: {'
    const config = await at.load(`${GOOD}\nredis:\n  url: \${REDIS_URL}`, { REDIS_URL: evil })
    expect(config).toMatchObject({ redis_url: evil, http_port: null })
  })

  test('become numbers and truth values where these are wanted, and stay text elsewhere', async () => {
    const at = await folder()
    const config = await at.load(
      `${GOOD}\nhttp: { port: "\${PORT}" }\nworker: { pools: "\${POOLS:-a, b}", threads: "\${N:-3}" }\nredis: { url: "\${N:-12}" }`,
      { PORT: '8080' },
    )
    expect(config).toMatchObject({ http_port: 8080, pools: ['a', 'b'], threads: 3, redis_url: '12' })
    expect(config.variables).toEqual(['PORT', 'POOLS', 'N'])
  })

  test('that are missing are named', async () => {
    const at = await folder()
    expect(await at.problems(redis('"${REDIS_URL}"'))).toEqual([
      'salvor.yaml:6: redis.url: the environment variable REDIS_URL is not set → set REDIS_URL, or write ${REDIS_URL:-default}',
    ])
    expect(await at.problems(redis('"${REDIS_URL:?ask the operator}"'), { REDIS_URL: '' })).toEqual([
      'salvor.yaml:6: redis.url: the environment variable REDIS_URL is not set: ask the operator → set REDIS_URL, or write ${REDIS_URL:-default}',
    ])
  })
})

describe('secrets', () => {
  const NET =
    'stores:\n  s: { kind: bucket, bucket: b, secret_key_file: key }\nsources:\n  a: { engine: filedb, path: a, encryption: none }\n'

  test('come from files, without the newline at the end', async () => {
    const at = await folder({ key: 'top secret key\n' })
    const config = await at.load(NET)
    const store = (await config.openStore('s')) as unknown as { config: { secret_key: string } }
    expect(store.config.secret_key).toBe('top secret key')
    expect(config.secrets).toContain('top secret key')
  })

  test('of digits only stay as they were written', async () => {
    const at = await folder()
    const config = await at.load(NET.replace('secret_key_file: key', 'secret_key: 00123'))
    expect(config.secrets).toContain('00123')
  })

  test('are known to the redaction by their parts too', async () => {
    const at = await folder()
    const config = await at.load(`${GOOD}\ncatalog: { url: "postgres://u:p%40ss-word@h/db" }`)
    expect(config.secrets).toEqual(expect.arrayContaining(['p%40ss-word', 'p@ss-word']))
  })

  test('that cannot be read are SECRET_MISSING with line and file', async () => {
    const at = await folder({ empty: '\n' })
    const error = (await at.load(NET).catch((thrown: unknown) => thrown)) as SalvorError
    expect(error.code).toBe('SECRET_MISSING')
    expect(await at.problems(NET)).toEqual([
      'salvor.yaml:2: stores.s.secret_key_file: the secret key cannot be read: there is no such file → put the secret into that file with mode 0600, readable by this user',
    ])
    expect((await at.problems(NET.replace('file: key', 'file: empty')))[0]).toContain('the file is empty')
    expect((await at.problems(NET.replace('file: key', 'file: .')))[0]).toContain('it is a folder')
  })

  test('given twice are refused', async () => {
    const at = await folder({ key: 'k' })
    expect(await at.problems(NET.replace('secret_key_file', 'secret_key: k, secret_key_file'))).toEqual([
      'salvor.yaml:2: stores.s.secret_key_file: both secret_key and secret_key_file are given → keep secret_key_file only',
    ])
  })

  test('that are missing are asked for as a file', async () => {
    const at = await folder()
    expect(await at.problems(NET.replace(', secret_key_file: key', ''))).toEqual([
      'salvor.yaml:2: stores.s.secret_key: is required → write secret_key_file: FILE (or secret_key: …)',
    ])
  })

  test('are in no error text', async () => {
    const at = await folder()
    const text = `${NET.replace('secret_key_file: key', 'secret_key: "hunter2hunter2"')}catalog: { url: "postgres://u:hunter2hunter2@h", pool: 3 }\nredis: [hunter]`
    expect((await at.problems(text.replace('"hunter2hunter2"', '["hunter2hunter2"]'))).join()).not.toContain('hunter2')
    expect((await at.problems(text)).join()).not.toContain('hunter2')
  })
})

describe('a mistake is told with line, reason and fix', () => {
  const app = (lines: string): string => `${GOOD}  two:\n    engine: filedb\n    path: b\n    ${lines}\n`
  const TABLE: readonly (readonly [what: string, text: string, problem: string])[] = [
    ['an unknown key at the top', `${GOOD}storess: {}`, '5: storess: unknown key → did you mean stores?'],
    ['an unknown key far from any', `${GOOD}redis: { host: h }`, '5: redis.host: unknown key → one of: url, url_file'],
    ['an unknown key of a source', app('pth: x'), '8: sources.two.pth: unknown key → did you mean path?'],
    ['a transposed key', app('retnetion: {}'), '8: sources.two.retnetion: unknown key → did you mean retention?'],
    [
      'an unknown key of a schedule',
      app('schedule: { ful: "@daily" }'),
      '8: sources.two.schedule.ful: unknown key → did you mean full?',
    ],
    [
      'a bad cron',
      app('schedule: { full: "0 25 * * *" }'),
      '8: sources.two.schedule.full: "0 25 * * *" is no schedule: ',
    ],
    [
      'a cron that never comes',
      app('schedule: { full: "0 0 30 2 *" }'),
      '8: sources.two.schedule.full: "0 0 30 2 *" is no schedule: this never comes',
    ],
    [
      'a bad duration',
      app('retention: { full: 30 }'),
      '8: sources.two.retention.full: "30": not in the right form → write a duration such as 30s, 12h, 7d or 1y',
    ],
    [
      'a bad size',
      GOOD.replace('./backups', './backups, limit: lots'),
      '2: stores.local.limit: "lots": not in the right form → write a size such as 100GB',
    ],
    [
      'a bad level',
      app('verify: { full: yes }'),
      '8: sources.two.verify.full: "yes": not one of the accepted words → write ',
    ],
    [
      'recoveries that are proven of what has no WAL',
      app('verify: { recovery: "0 5 * * *" }'),
      '8: sources.two.verify.recovery: ',
    ],
    [
      'a bad class',
      app('copies: { local: [full, montly] }'),
      '8: sources.two.copies.local[1]: "montly": not one of the accepted words → write incremental | full | monthly',
    ],
    [
      'an unknown store',
      app('copies: { locl: all }'),
      '8: sources.two.copies.locl: no store is called "locl" → did you mean local?',
    ],
    [
      'a class without a store',
      app('copies: { local: [monthly] }'),
      '8: sources.two.copies: no store takes full backups → add full to a store, or write `all`',
    ],
    [
      'an unknown engine',
      GOOD.replace('filedb', 'filebd'),
      '4: sources.app.engine: no engine of kind "filebd" → did you mean filedb?',
    ],
    [
      'an unknown store kind',
      GOOD.replace('disk', 'tape'),
      '2: stores.local.kind: no store of kind "tape" → one of: bucket, disk',
    ],
    [
      'a kind that is a path',
      GOOD.replace('disk', '../disk'),
      '2: stores.local.kind: no store of kind "../disk" → one of: bucket, disk',
    ],
    [
      'a missing kind',
      GOOD.replace('kind: disk, ', ''),
      '2: stores.local.kind: is required → write kind: bucket | disk',
    ],
    [
      'an unknown channel kind',
      `${GOOD}notify: { a: { kind: gong } }`,
      '5: notify.a.kind: no channel of kind "gong" → ',
    ],
    [
      'an unknown channel',
      `${GOOD}notify:\n  bell: { kind: bell, url: "https://b" }\n  routes:\n    - { to: [bel] }`,
      '8: notify.routes[0].to[0]: no channel is called "bel" → did you mean bell?',
    ],
    [
      'an unknown event',
      `${GOOD}notify:\n  bell: { kind: bell, url: "https://b" }\n  routes:\n    - { events: [backup.faild], to: [bell] }`,
      '8: notify.routes[0].events[0]: no event is called "backup.faild" → did you mean backup.failed?',
    ],
    [
      'an event of later',
      `${GOOD}notify:\n  bell: { kind: bell, url: "https://b" }\n  routes:\n    - { events: [drill.failed], to: [bell] }`,
      '8: notify.routes[0].events[0]: the event drill.failed is not available yet → remove it',
    ],
    ['no stores', 'sources:\n  app: { engine: filedb, path: a }\n', '1: stores: no store is named → write `stores: '],
    [
      'no sources',
      'stores:\n  local: { kind: disk, path: ./backups }\nsources:\n',
      '3: sources: no source is named → write `sources: ',
    ],
    [
      'stores as a list',
      'stores: [a]\nsources:\n  app: { engine: filedb, path: a }\n',
      '1: stores: not a mapping → write `key: value` lines below it, indented',
    ],
    ['a bad name', GOOD.replace('app:', 'App:'), '4: sources.App: "App" cannot be a name → write lower-case letters'],
    [
      'a name that is a path',
      GOOD.replace('app:', '../x:'),
      '4: sources.../x: "../x" cannot be a name → write lower-case letters',
    ],
    ['a missing path', GOOD.replace(', path: ./app.db', ''), '4: sources.app.path: is required → write path: …'],
    [
      'a bad time zone',
      `${GOOD}timezone: Europe/Berlyn`,
      '5: timezone: "Europe/Berlyn": not a time zone of the IANA list',
    ],
    ['a bad port', `${GOOD}http: { port: 99999 }`, '5: http.port: "99999": too big'],
    [
      'a gzip level',
      app('compression: { algorithm: gzip, level: 12 }'),
      '8: sources.two.compression.level: gzip has levels 1 to 9 → ',
    ],
    [
      'compression by a source that sends nothing compressed',
      app('compression: { at: source }'),
      '8: sources.two.compression.at: filedb sources send nothing compressed → remove this key',
    ],
    [
      'a merge that the engine cannot do',
      app('at_max_chain: merge'),
      '8: sources.two.at_max_chain: chains of filedb backups cannot be merged yet → remove this key',
    ],
    [
      'a compression',
      app('compression: lz4'),
      '8: sources.two.compression: "lz4": not one of the accepted words → write zstd | gzip',
    ],
    [
      'an incremental of an engine without',
      app('schedule: { full: "@daily", incremental: "@hourly" }'),
      '8: sources.two.schedule.incremental: incremental backups of filedb are not available → remove this key',
    ],
    [
      'a WAL stream',
      app('schedule: { full: "@daily", wal: stream }'),
      '8: sources.two.schedule.wal: filedb has no WAL to stream → remove this key',
    ],
    [
      'an objective',
      app('objectives: { rpo: 1h }'),
      '8: sources.two.objectives: objectives is not available yet → remove this key',
    ],
    [
      'a drill',
      app('drills: { verify: "@daily" }'),
      '8: sources.two.drills: drills is not available yet → remove this key',
    ],
    [
      'point-in-time',
      app('retention: { pitr: 30d }'),
      '8: sources.two.retention.pitr: what filedb needs for every instant is not deleted by age yet → remove this key',
    ],
    [
      'a size warning',
      GOOD.replace('./backups', './backups, warn_at: 80%'),
      '2: stores.local.warn_at: a size warning of a store is not available yet → remove this key',
    ],
    [
      'a key of later that an adapter knows',
      GOOD.replace('./backups', './backups, later: 1'),
      '2: stores.local.later: is not available yet → remove this key',
    ],
    ['a doubled key', `${GOOD}timezone: UTC\ntimezone: UTC\n`, '6: YAML: Map keys must be unique → '],
    ['broken YAML', `${GOOD}redis: { url: "x\n`, ': YAML: '],
    [
      'a bare variable in braces',
      `${GOOD}redis: { url: \${X} }`,
      '5: YAML: Unexpected flow-map-start at node end → put "${…}" in quotes',
    ],
    ['an empty file', '', '1: stores: no store is named → '],
    ['a text', 'hello', '1: the file: not a mapping → '],
    ['a key that would change prototypes', `${GOOD}__proto__: { a: 1 }`, '5: YAML: a key that is not a plain word → '],
    [
      'a plain backup that leaves the machine',
      `${GOOD}  two: { engine: filedb, path: b, copies: { s: all } }\n`.replace(
        'sources:',
        '  s: { kind: bucket, bucket: b, secret_key: kkkk }\nsources:',
      ),
      '6: sources.two: backups would go to store s, which is not local, without encryption → salvor keys create',
    ],
  ]
  test.each(TABLE)('%s', async (_, text, problem) => {
    const at = await folder()
    const problems = await at.problems(text)
    expect(problems.join('\n')).toContain(problem)
  })

  test('all mistakes of a file at once, in the order of its lines', async () => {
    const at = await folder()
    const problems = await at.problems(`timezone: Mars/North
stores:
  local: { kind: dsk, path: b }
  s: { kind: bucket, secret_key_file: nowhere }
sources:
  app: { engine: filedb, path: a, schedule: { full: nonsense }, copies: { local: all, other: all } }
  Two: { engine: filedb }
  three: { engine: filedb, pth: x, retention: { full: soon } }
notify: { routes: [ { to: [pager] } ] }
hookz: 1
`)
    expect(problems.map((line) => line.split(': ', 2).join(': '))).toEqual([
      'salvor.yaml:1: timezone',
      'salvor.yaml:3: stores.local.kind',
      'salvor.yaml:4: stores.s.secret_key_file',
      'salvor.yaml:4: stores.s.bucket',
      'salvor.yaml:6: sources.app.schedule.full',
      'salvor.yaml:6: sources.app.copies.other',
      'salvor.yaml:7: sources.Two',
      'salvor.yaml:8: sources.three.retention.full',
      'salvor.yaml:8: sources.three.pth',
      'salvor.yaml:8: sources.three.path',
      'salvor.yaml:9: notify.routes[0].to[0]',
      'salvor.yaml:10: hookz',
    ])
    expect(problems.every((line) => line.includes(' → '))).toBe(true)
  })

  test('an alias bomb ends as a mistake, not in memory', async () => {
    const at = await folder()
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`)
    const problems = await at.problems(`${GOOD}a0: &a0 [x, x]\n${levels.join('\n')}\n`)
    expect(problems.join('\n')).toContain('too deep or too many values')
  })

  test('a file that is not there', async () => {
    const at = await folder()
    const error = (await loadConfig(join(at.path, 'none.yaml'), {}, fakeAdapters()).catch(
      (e: unknown) => e,
    )) as SalvorError
    expect(error).toMatchObject({ code: 'CONFIG_MISSING', exit: 2 })
  })
})

describe('the hash of a source', () => {
  const hashes = async (text: string, secret = 'k'): Promise<{ source: string; whole: string }> => {
    const at = await folder({ key: secret })
    const config = await at.load(text)
    return { source: config.settings.sources.get('app')!.config_hash, whole: config.hash }
  }
  const BASE = `stores:
  s: { kind: bucket, bucket: b, secret_key_file: key }
  t: { kind: disk, path: t }
sources:
  app: { engine: filedb, path: a, encryption: none, copies: { s: all }, schedule: { full: "@daily" } }
`

  test('is the same for the same file at another place, and in another order', async () => {
    const one = await hashes(BASE)
    expect(await hashes(BASE)).toEqual(one)
    expect((await hashes(BASE.replace('kind: bucket, bucket: b', 'bucket: b, kind: bucket'))).source).toBe(one.source)
    expect((await hashes(BASE.replace('path: t', 'path: elsewhere'))).source).toBe(one.source)
    expect((await hashes(BASE.replace('@daily', '@weekly'))).source).toBe(one.source)
  })

  test.each([
    ['its path', BASE.replace('path: a', 'path: b'), 'k'],
    ['a store of its copies', BASE.replace('bucket: b', 'bucket: c'), 'k'],
    ['its checks', BASE.replace('path: a', 'path: a, checks: [ "SELECT 1" ]'), 'k'],
    ['its retention', BASE.replace('path: a', 'path: a, retention: { full: 1d }'), 'k'],
    ['the secret of a store', BASE, 'other'],
  ])('changes with %s', async (_, text, secret) => {
    expect((await hashes(text, secret)).source).not.toBe((await hashes(BASE)).source)
    expect((await hashes(text, secret)).whole).not.toBe((await hashes(BASE)).whole)
  })
})

test('adapters are opened by name, and unknown names are told', async () => {
  const at = await folder()
  const config = await at.load(GOOD)
  await expect(config.openStore('nowhere')).rejects.toMatchObject({ code: 'STORE_UNKNOWN' })
  await expect(config.openEngine('nobody', {} as never)).rejects.toMatchObject({ code: 'SOURCE_UNKNOWN' })
  await expect(config.openEngineForRestore('nothing', {} as never)).rejects.toMatchObject({ code: 'NOT_AVAILABLE' })
})
