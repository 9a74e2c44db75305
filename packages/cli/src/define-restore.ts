import { EXPORT_FORMATS, type ExportFormat } from '@salvor/shared/ports/reading'
import { type Command, Option } from 'commander'
import { globalOptions } from './context.ts'
import { act, example, given, STORE } from './define-command.ts'
import { deltaOf, missingTarget, partsOf, type PartOptions, several, tablespace } from './option-values.ts'

export function addRestore(program: Command): void {
  const restore = program
    .command('restore <source-or-backup>')
    .description('bring a backup back to a new place, or in place')
    .option(
      '--to <target>',
      'a new file (SQLite), folder (PostgreSQL) or server (logical: postgres://…); -: its bytes, or a tar of it, to stdout',
    )
    .option('--backup <backup>', 'a certain one (default: the newest)')
    .option('--from <store>', `which copy to read (default: the best): ${STORE}`)
    .option('--keys <file>', 'keyring or recovery key that opens it')
    .option('--in-place', 'replace what is there, after a pre_restore backup of it', false)
    .option('--delta', 'PostgreSQL: lay it over the data folder that is there, writing only what differs', false)
    .option('--other-cluster', 'with --delta: the folder may be of another cluster', false)
    .option('--tablespace <old=new>', 'PostgreSQL: where a tablespace comes back; may be repeated', tablespace)
    .option(
      '--at <time>',
      'the state of that instant; `latest`: the newest that is stored (PostgreSQL: by WAL; SQLite: by change sets)',
    )
    .option('--lsn <position>', 'PostgreSQL: up to that WAL position')
    .option('--xid <id>', 'PostgreSQL: up to and with that transaction')
    .option('--name <name>', 'PostgreSQL: up to the restore point of that name')
    .option('--timeline <number>', 'PostgreSQL: along that timeline (default: the newest)')
    .option('--database <name>', 'PostgreSQL: only that database; may be repeated', several)
    .option('--schema <name>', 'logical backups: only that schema of it; may be repeated', several)
    .option('--table <name>', 'logical backups: only that table (schema.table); may be repeated', several)
    .option(
      '--list',
      'show the databases of a backup (of a logical one, what is in the --database); restore nothing',
      false,
    )
    .option('--pause', 'PostgreSQL: stop at the target, to look first', false)
    .option('--start', 'PostgreSQL: run a server on it to the target, report what it reached, and stop it', false)
    .option('--plan', 'show what would be done and write nothing', false)
  example(restore, 'salvor restore clinic --to /srv/restored/clinic.db')
  act(restore, async ([what = ''], options, self, signal) => {
    if (options['list'] === true) {
      const { listContents } = await import('./commands/list-contents.ts')
      const { database: databases = [] } = options as PartOptions
      return listContents(
        what,
        { ...globalOptions(self), databases, ...given(options, 'backup', 'from', 'keys') },
        signal,
      )
    }
    if (options['to'] === undefined) throw missingTarget()
    const { restore: run } = await import('./commands/restore.ts')
    const { to, inPlace, plan } = options as { to: string; inPlace: boolean; plan: boolean }
    const tablespaces = (options['tablespace'] ?? {}) as Readonly<Record<string, string>>
    const rest = given(options, 'backup', 'from', 'keys', 'at', 'lsn', 'xid', 'name', 'timeline')
    const [pause, start] = [options['pause'] === true, options['start'] === true]
    const delta = deltaOf(options['delta'] === true, options['otherCluster'] === true)
    const parts = partsOf(options)
    return run(
      what,
      { ...globalOptions(self), to, inPlace, plan, tablespaces, pause, start, ...delta, ...parts, ...rest },
      signal,
    )
  })
}

export function addExport(program: Command): void {
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
    .option('--database <name>', 'PostgreSQL: only that database; may be repeated', several)
    .option('--schema <name>', 'PostgreSQL: only that schema; may be repeated', several)
    .option('--table <name>', 'only that table (PostgreSQL: schema.table); may be repeated', several)
  act(
    example(command, 'salvor export clinic --to /srv/clinic-csv --format csv'),
    async ([what = ''], options, self, signal) => {
      const { exportFiles } = await import('./commands/export.ts')
      const { to, format } = options as { to: string; format: ExportFormat }
      const parts = partsOf(options)
      return exportFiles(
        what,
        { ...globalOptions(self), to, format, ...parts, ...given(options, 'backup', 'from', 'keys') },
        signal,
      )
    },
  )
}
