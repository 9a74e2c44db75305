// npm run check: format, type-aware lint, types, boundaries. Every step runs, so that one run shows all there is to do.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'

const projects = globSync(['packages/*/tsconfig.json', 'services/*/tsconfig.json']).map((file) =>
  file.replace('/tsconfig.json', ''),
)
const STEPS = [
  ['format', 'oxfmt', ['--check', '.']],
  ['types', 'tsc', ['-b', ...projects]],
  // After the types: they build what the lint resolves imports by.
  ['lint', 'oxlint', ['--type-aware', '--deny-warnings', '.']],
  ['types of tests', 'tsc', ['-p', 'tsconfig.test.json']],
  ['boundaries', 'node', ['tools/boundaries.mjs']],
  ['docs made from tables', 'node', ['--conditions=source', 'tools/docs.mjs', '--check']],
]
let failed = 0
for (const [name, command, args] of STEPS) {
  const run = spawnSync(command, args, { encoding: 'utf8' })
  const ok = run.status === 0
  if (!ok) failed += 1
  console.log(ok ? 'ok    ' : 'FAILED', String(name))
  if (!ok) console.log(run.stdout.trim(), run.stderr.trim())
}
process.exitCode = failed === 0 ? 0 : 1
