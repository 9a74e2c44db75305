import { readFileSync } from 'node:fs'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { CommanderError } from 'commander'
import { failureAnswer, print } from './output.ts'
import { buildProgram } from './program.ts'

process.umask(0o077)
const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const program = buildProgram((manifest as { version: string }).version)
const json = process.argv.includes('--json')
if (json) program.configureOutput({ writeErr: () => {} })
try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  // Help and version end like this too; anything else is a word that no command knows.
  const fine = error.exitCode === 0 || error.code === 'commander.help'
  process.exitCode = fine ? EXIT.done : EXIT.usage
  if (!fine && json) {
    const reason = error.message.replace(/^error: /, '')
    print(failureAnswer(new SalvorError('USAGE', { reason, command: program.args[0] ?? '' })), true)
  }
}
