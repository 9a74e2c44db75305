import type { Command } from 'commander'
import { act, example, given, STORE } from './define-command.ts'
import { globalOptions } from './context.ts'

/** Commands that look into backups and change nothing. */
export function addLooking(program: Command): void {
  const open = program
    .command('open <source-or-backup>')
    .description('ask a backup by SQL: of SQLite without restoring it, of PostgreSQL a copy in the sandbox')
    .option(
      '--at <time>',
      'the newest state that is not after that instant; `latest`: the newest stored (default: the newest backup)',
    )
    .option('--backup <backup>', 'a certain one')
    .option('--from <store>', `which copy to read (default: the best): ${STORE}`)
    .option('--keys <file>', 'keyring or recovery key that opens it')
    .option('--sql <sql>', 'print what this gives and end; `-`: SQL from stdin (default: a prompt)')
  act(
    example(open, 'salvor open desk --sql "SELECT count(*) FROM patients"'),
    async ([what = ''], options, self, signal) =>
      (await import('./commands/open.ts')).open(
        what,
        { ...globalOptions(self), ...given(options, 'at', 'backup', 'from', 'keys', 'sql') },
        signal,
      ),
  )
  const find = program
    .command('find-change <source>')
    .description('between which two restore points the answer to a question changed')
    .requiredOption('--sql <sql>', 'the question; `-`: from stdin')
    .option('--since <time>', 'only states from that instant on')
    .option('--until <time>', 'only states up to that instant')
    .option(
      '--every',
      'look at every restore point (SQLite: every change set, up to 500): finds all changes, and those that were undone',
      false,
    )
    .option('--resolution <duration>', 'PostgreSQL: how near the two instants are to come', '1s')
    .option('--from <store>', `which copies to read (default: the best): ${STORE}`)
    .option('--keys <file>', 'keyring or recovery key that opens them')
  act(
    example(find, 'salvor find-change desk --sql "SELECT count(*) FROM patients"'),
    async ([source = ''], options, self, signal) => {
      const { findChange } = await import('./commands/find-change.ts')
      const { sql, every, resolution } = options as { sql: string; every: boolean; resolution: string }
      const rest = given(options, 'since', 'until', 'from', 'keys')
      return findChange(source, { ...globalOptions(self), sql, every, resolution, ...rest }, signal)
    },
  )
}
