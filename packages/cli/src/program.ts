import { SERVICES } from '@salvor/shared/vocabulary/service'
import { VERIFICATION_LEVELS } from '@salvor/shared/vocabulary/verification'
import { Argument, Command, Option } from 'commander'
import { globalOptions } from './context.ts'
import { act, example, given, STORE } from './define-command.ts'
import { addLooking } from './define-looking.ts'
import { addExport, addRestore } from './define-restore.ts'
import { count } from './option-values.ts'

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
  addExport(program)
  addOverview(program)
}

function addOverview(program: Command): void {
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
  addLooking(program)
  addWal(program)
  const status = example(
    program.command('status').description('every source: last good, last proven, next, incidents'),
    'salvor status',
  )
  act(status, async (_args, _options, self) => (await import('./commands/status.ts')).status(globalOptions(self)))
}

function addWal(program: Command): void {
  const wal = program.command('wal').description('WAL of PostgreSQL: for archive_command and restore_command')
  const push = wal.command('push <path>').description('store a WAL file: archive_command = \'salvor wal push "%p"\'')
  push.option('--source <name>', 'whose WAL it is (default: the only source that has any)')
  act(example(push, 'salvor wal push pg_wal/000000010000000000000001'), async ([path = ''], options, self, signal) => {
    const { walPush } = await import('./commands/wal-push.ts')
    return walPush(path, { ...globalOptions(self), ...given(options, 'source') }, signal)
  })
  const get = wal.command('get <name> <path>').description('fetch one: restore_command = \'salvor wal get "%f" "%p"\'')
  get.option('--source <name>', 'whose WAL it is (default: the only source that has any)')
  act(
    example(get, 'salvor wal get 000000010000000000000001 /tmp/segment'),
    async ([name = '', path = ''], options, self, signal) => {
      const { walGet } = await import('./commands/wal-get.ts')
      return walGet(name, path, { ...globalOptions(self), ...given(options, 'source') }, signal)
    },
  )
  act(wal.command('helper', { hidden: true }), async (_args, _options, self, signal) =>
    (await import('./commands/wal-helper.ts')).walHelper(globalOptions(self), signal),
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
