import { EXPORT_FORMATS, type ExportFormat } from '@salvor/shared/ports/engine'
import { SERVICES } from '@salvor/shared/vocabulary/service'
import { VERIFICATION_LEVELS } from '@salvor/shared/vocabulary/verification'
import { Argument, Command, Option } from 'commander'
import { globalOptions } from './context.ts'
import { count, partsOf, several, tablespace } from './option-values.ts'
import type { Answer } from './output.ts'
import { runCommand } from './run-command.ts'

type Action = (
  args: readonly string[],
  options: Record<string, unknown>,
  command: Command,
  signal: AbortSignal,
) => Promise<Answer>

/** A command whose code is loaded when it is called: `--help` and `list` do not pay for engines and stores. */
function act(command: Command, action: Action): Command {
  return command.action(async (...given: unknown[]) => {
    const self = given.at(-1) as Command
    const { json } = globalOptions(self)
    await runCommand(json, (signal) => action(self.processedArgs as string[], self.opts(), self, signal))
  })
}

const STORE = 'a name, or file:///FOLDER, s3://BUCKET/PREFIX, azblob://CONTAINER/PREFIX'

/** Those of the options that were given. */
function given<K extends string>(options: Record<string, unknown>, ...keys: readonly K[]): { [key in K]?: string } {
  return Object.fromEntries(keys.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]]))) as never
}

const TYPES = ['full', 'incremental', 'archive'] as const

/** Every command with its options and an example; DESIGN names them. */
export function buildProgram(version: string): Command {
  const program = new Command('salvor')
    .description('Backups for SQLite and PostgreSQL that prove, by restoring, that they come back.')
    .version(version)
    .option('-c, --config <file>', 'configuration file (default: $SALVOR_CONFIG or salvor.yaml)')
    .option('--json', 'one JSON document on stdout')
    .showHelpAfterError('(salvor --help shows the commands)')
    .configureHelp({ sortSubcommands: false })
  addBackups(program)
  addServices(program)
  addAdministration(program)
  for (const command of allOf(program)) {
    command
      .exitOverride()
      .option('--json', 'one JSON document on stdout')
      .option('-c, --config <file>', 'configuration file')
  }
  return program.exitOverride()
}

function allOf(program: Command): Command[] {
  return program.commands.flatMap((command) => [command, ...allOf(command)])
}

function example(command: Command, text: string): Command {
  return command.addHelpText('after', `\nExample:\n  ${text}`)
}

function addBackups(program: Command): void {
  for (const [name, fixed] of [
    ['backup', null],
    ['full-backup', 'full'],
    ['incremental-backup', 'incremental'],
  ] as const) {
    const command = program
      .command(`${name} <source>`, fixed === null ? {} : { hidden: true })
      .description('take a backup now')
    if (fixed === null)
      command.addOption(new Option('--type <type>', 'what to take').choices([...TYPES]).default('full'))
    example(
      command.option('--no-wait', 'exit 75 instead of waiting while the source is busy'),
      'salvor backup clinic --json',
    )
    act(command, async ([source = ''], options, self, signal) => {
      const { backup } = await import('./commands/backup.ts')
      const type = (fixed ?? options['type']) as (typeof TYPES)[number]
      return backup(source, { ...globalOptions(self), type, wait: options['wait'] !== false }, signal)
    })
  }
  const list = program.command('list [source]').description('backups, newest first')
  list.option('--limit <n>', 'at most so many', count, 1000)
  list
    .option('--from <store>', `what a store itself shows: ${STORE}`)
    .option('--keys <file>', 'keyring that knows the signers')
  example(list, 'salvor list clinic')
  act(list, async ([source], options, self, signal) => {
    const { list: run } = await import('./commands/list.ts')
    return run(
      source,
      { ...globalOptions(self), limit: options['limit'] as number, ...given(options, 'from', 'keys') },
      signal,
    )
  })
  const verify = program
    .command('verify <backup> [source]')
    .description('check a backup, or `latest` of every source or of one')
  verify.addOption(
    new Option('--level <level>', 'how hard to look').choices([...VERIFICATION_LEVELS]).default('restore'),
  )
  verify.option('--from <store>', `which copy (default: the best): ${STORE}`)
  verify.option('--keys <file>', 'keyring or recovery key that opens it')
  example(verify, 'salvor verify latest --level restore')
  act(verify, async ([backup = '', source], options, self, signal) => {
    const { verify: run } = await import('./commands/verify.ts')
    const level = options['level'] as (typeof VERIFICATION_LEVELS)[number]
    return run(backup, source, { ...globalOptions(self), level, ...given(options, 'from', 'keys') }, signal)
  })
  addRestore(program)
}

function addRestore(program: Command): void {
  const restore = program
    .command('restore <source-or-backup>')
    .description('bring a backup back to a new place, or in place')
    .requiredOption('--to <target>', 'a new file (SQLite), folder (PostgreSQL) or server (logical: postgres://…)')
    .option('--backup <backup>', 'a certain one (default: the newest)')
    .option('--from <store>', `which copy to read (default: the best): ${STORE}`)
    .option('--keys <file>', 'keyring or recovery key that opens it')
    .option('--in-place', 'replace what is there, after a pre_restore backup of it', false)
    .option('--tablespace <old=new>', 'PostgreSQL: where a tablespace comes back; may be repeated', tablespace, {})
    .option('--at <time>', 'PostgreSQL: the state of that instant; `latest`: of the newest WAL')
    .option('--lsn <position>', 'PostgreSQL: up to that WAL position')
    .option('--xid <id>', 'PostgreSQL: up to and with that transaction')
    .option('--name <name>', 'PostgreSQL: up to the restore point of that name')
    .option('--timeline <number>', 'PostgreSQL: along that timeline (default: the newest)')
    .option('--database <name>', 'logical backups: only that database; may be repeated', several, [])
    .option('--schema <name>', 'logical backups: only that schema of it; may be repeated', several, [])
    .option('--table <name>', 'logical backups: only that table (schema.table); may be repeated', several, [])
    .option('--pause', 'PostgreSQL: stop at the target, to look first', false)
    .option('--plan', 'show what would be done and write nothing', false)
  example(restore, 'salvor restore clinic --to /srv/restored/clinic.db')
  act(restore, async ([what = ''], options, self, signal) => {
    const { restore: run } = await import('./commands/restore.ts')
    const { to, inPlace, plan } = options as { to: string; inPlace: boolean; plan: boolean }
    const tablespaces = options['tablespace'] as Readonly<Record<string, string>>
    const rest = given(options, 'backup', 'from', 'keys', 'at', 'lsn', 'xid', 'name', 'timeline')
    const pause = options['pause'] === true
    const parts = partsOf(options as { database: string[]; schema: string[]; table: string[] })
    return run(what, { ...globalOptions(self), to, inPlace, plan, tablespaces, pause, ...parts, ...rest }, signal)
  })
  const window = program
    .command('window <source>')
    .description('the instants it can be recovered to, and each gap')
    .option('--from <store>', `what a store itself shows: ${STORE}`)
    .option('--keys <file>', 'keyring that knows the signers')
  example(window, 'salvor window clinic')
  act(window, async ([source = ''], options, self, signal) => {
    const { window: run } = await import('./commands/window.ts')
    return run(source, { ...globalOptions(self), ...given(options, 'from', 'keys') }, signal)
  })
  addExport(program)
  addWal(program)
  const status = example(
    program.command('status').description('every source: last good, last proven, next, incidents'),
    'salvor status',
  )
  act(status, async (_args, _options, self) => (await import('./commands/status.ts')).status(globalOptions(self)))
}

function addExport(program: Command): void {
  const command = program
    .command('export <source-or-backup>')
    .description('write what a backup holds as plain SQL or CSV, for other programs')
    .requiredOption('--to <folder>', 'a new folder')
    .addOption(
      new Option('--format <format>', 'SQL statements, or a CSV file for each table')
        .choices([...EXPORT_FORMATS])
        .default('sql'),
    )
    .option('--backup <backup>', 'a certain one (default: the newest)')
    .option('--from <store>', `which copy to read (default: the best): ${STORE}`)
    .option('--keys <file>', 'keyring or recovery key that opens it')
    .option('--database <name>', 'PostgreSQL: only that database; may be repeated', several, [])
    .option('--schema <name>', 'PostgreSQL: only that schema; may be repeated', several, [])
    .option('--table <name>', 'only that table (PostgreSQL: schema.table); may be repeated', several, [])
  act(
    example(command, 'salvor export clinic --to /srv/clinic-csv --format csv'),
    async ([what = ''], options, self, signal) => {
      const { exportFiles } = await import('./commands/export.ts')
      const { to, format } = options as { to: string; format: ExportFormat }
      const parts = partsOf(options as { database: string[]; schema: string[]; table: string[] })
      return exportFiles(
        what,
        { ...globalOptions(self), to, format, ...parts, ...given(options, 'backup', 'from', 'keys') },
        signal,
      )
    },
  )
}

function addWal(program: Command): void {
  const wal = program.command('wal').description('WAL of PostgreSQL: for archive_command and restore_command')
  const push = wal.command('push <path>').description('store a WAL file: archive_command = \'salvor wal push "%p"\'')
  push.option('--source <name>', 'whose WAL it is (default: the only source that has any)')
  act(example(push, 'salvor wal push pg_wal/000000010000000000000001'), async ([path = ''], options, self, signal) => {
    const { walPush } = await import('./commands/wal.ts')
    return walPush(path, { ...globalOptions(self), ...given(options, 'source') }, signal)
  })
  const get = wal.command('get <name> <path>').description('fetch one: restore_command = \'salvor wal get "%f" "%p"\'')
  get.option('--source <name>', 'whose WAL it is (default: the only source that has any)')
  act(
    example(get, 'salvor wal get 000000010000000000000001 /tmp/segment'),
    async ([name = '', path = ''], options, self, signal) => {
      const { walGet } = await import('./commands/wal.ts')
      return walGet(name, path, { ...globalOptions(self), ...given(options, 'source') }, signal)
    },
  )
  act(wal.command('status').description('how each stream is doing'), async (_args, _options, self) =>
    (await import('./commands/wal.ts')).walStatus(globalOptions(self)),
  )
}

function addServices(program: Command): void {
  const up = program
    .command('up')
    .description('all services in one process tree, with a Redis of its own where none is configured')
  act(example(up, 'salvor up'), async (_args, _options, self, signal) =>
    (await import('./commands/up.ts')).up(globalOptions(self), signal),
  )
  const service = program
    .command('service')
    .addArgument(new Argument('<name>').choices([...SERVICES]))
    .description('one service; start it as often as you like')
    .option('--jobs <names>', 'only these of its jobs, separated by commas')
    .option('--port <port>', 'port of /healthz, /readyz and /metrics (default: http.port, else a free one)', count)
  example(service, 'salvor service verifier')
  act(service, async ([name = ''], options, self) => {
    const { service: run } = await import('./commands/service.ts')
    return run(name, options, globalOptions(self))
  })
}

function addAdministration(program: Command): void {
  const doctor = program
    .command('doctor [source]')
    .description('look at everything that backups need: sources, stores, keys, clocks, programs for proofs')
  act(example(doctor, 'salvor doctor clinic'), async ([source], _options, self, signal) =>
    (await import('./commands/doctor.ts')).doctor(source, globalOptions(self), signal),
  )
  const config = program.command('config').description('the configuration file')
  act(
    example(config.command('validate').description('check it, secrets and all'), 'salvor config validate'),
    async (_a, _o, self) => (await import('./commands/config.ts')).configValidate(globalOptions(self)),
  )
  act(
    example(
      config.command('grants <source>').description('the SQL and the lines of pg_hba.conf that a source needs'),
      'salvor config grants clinic',
    ),
    async ([source = ''], _o, self) => (await import('./commands/config.ts')).configGrants(source, globalOptions(self)),
  )
  act(config.command('schema').description('the JSON Schema for editors'), async (_a, _o, self) =>
    (await import('./commands/config.ts')).configSchema(globalOptions(self)),
  )
  const keys = program.command('keys').description('encryption and signing keys')
  const create = keys
    .command('create')
    .description('make a keyring, and a recovery key for the safe')
    .option('--out <file>', 'the keyring', 'salvor-keys.json')
    .option(
      '--recovery <file>',
      'the private recovery key: print it, then take it off this machine',
      'salvor-recovery-key.pem',
    )
  act(example(create, 'salvor keys create --out /run/secrets/salvor-keys.json'), async (_a, options, self) =>
    (await import('./commands/keys.ts')).keysCreate(options as { out: string; recovery: string }, globalOptions(self)),
  )
  act(
    example(keys.command('list').description('the keys of the keyring, without their secrets'), 'salvor keys list'),
    async (_a, _o, self) => (await import('./commands/keys.ts')).keysList(globalOptions(self)),
  )
  const queue = program.command('queue').description('work that gave up')
  act(
    example(queue.command('dead').description('what waits for a person'), 'salvor queue dead'),
    async (_a, _o, self) => (await import('./commands/queue.ts')).queueDead(globalOptions(self)),
  )
  act(
    example(
      queue.command('replay <id>').description('queue it again; `all` for everything'),
      'salvor queue replay all',
    ),
    async ([id = ''], _o, self) => (await import('./commands/queue.ts')).queueReplay(id, globalOptions(self)),
  )
}
