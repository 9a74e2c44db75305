// The ring rule of ARCHITECTURE.md, checked over manifests and import lines: a package imports only lower rings, never
// sideways, and nothing that its manifest does not name. Also what may not stand where (clock, environment, SQL, SDKs).
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const RINGS = [
  [0, /^shared$/],
  [1, /^(policy|repository)$/],
  [2, /^(engine-.*|store-.*|channel-.*|catalog|runtime)$/],
  [3, /^api$/],
  [4, /^(scheduler|backup-worker|verifier|replicator|notifier)$/],
  [5, /^(cli|testkit|demo|bench|system-test)$/],
]
const INNER = /^packages\/(?!runtime|cli|testkit)|^services\/[^/]+\/src\/(?!main)/
const HANDLERS = /^services\/[^/]+\/src\/(?!main)/
/** What, its pattern, the files it is forbidden in, and why. */
const FORBIDDEN = [
  ['process.env', /\bprocess\.env\b/, INNER, 'the environment enters in runtime only'],
  ['Date.now', /\bDate\.now\(|\bnew Date\(\)/, INNER, 'the clock enters in runtime only'],
  ['Math.random', /\bMath\.random\(/, INNER, 'randomness enters in runtime only'],
  ['fs', /from 'node:fs/, HANDLERS, 'a service takes ports'],
  [
    'bullmq, ioredis, pino',
    /from '(bullmq|ioredis|pino)'/,
    /^packages\/(?!runtime|api|testkit)|^services/,
    'runtime is their only home',
  ],
  ['ZSTD_c_nbWorkers', /ZSTD_c_nbWorkers/, /./, 'it loses data in Node 24'],
  ['any', /[:<]\s*any\b[\s,;)>[]/, /./, 'no any'],
]
const MOST_LINES = 300
const SERVICE_HANDLER_LINES = 60

const problems = []
const folders = globSync(['packages/*', 'services/*', 'demo', 'bench', 'test'], { cwd: root }).filter((folder) =>
  existsSync(join(root, folder, 'package.json')),
)
const ringOf = (name) => RINGS.find(([, pattern]) => pattern.test(name.replace('@salvor/', '')))?.[0]

for (const folder of folders) checkPackage(folder)
checkCycles()
for (const problem of problems) console.error(problem)
console.error(
  problems.length === 0
    ? `boundaries: ${folders.length} packages keep the rings`
    : `boundaries: ${problems.length} problems`,
)
process.exitCode = problems.length === 0 ? 0 : 1

function checkPackage(folder) {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const ring = ringOf(manifest.name)
  if (ring === undefined) {
    problems.push(`${folder}: give ${manifest.name} a ring in tools/boundaries.mjs`)
    return
  }
  const runtime = new Set([
    ...Object.keys(manifest.dependencies ?? {}),
    ...Object.keys(manifest.optionalDependencies ?? {}),
  ])
  const development = new Set([...runtime, ...Object.keys(manifest.devDependencies ?? {})])
  if (manifest.name === '@salvor/shared' && [...runtime].some((name) => name !== 'zod')) {
    problems.push(`${folder}/package.json: shared depends on zod only`)
  }
  for (const file of globSync(`${folder}/**/*.{ts,mjs}`, {
    cwd: root,
    exclude: (path) => /node_modules|dist/.test(path),
  })) {
    checkFile(file, { manifest, ring, runtime, development })
  }
}

function checkFile(file, { manifest, ring, runtime, development }) {
  const text = readFileSync(join(root, file), 'utf8')
  const isTest = /\.(test|fixture)\.ts$/.test(file) || (ring === 5 && !file.startsWith('packages/cli/'))
  for (const target of imports(text)) {
    if (target.startsWith('.')) checkRelative(file, target, manifest)
    else if (!target.startsWith('node:') && !target.includes('${')) {
      const name = target
        .split('/')
        .slice(0, target.startsWith('@') ? 2 : 1)
        .join('/')
      if (!(isTest ? development : runtime).has(name) && name !== manifest.name && !(isTest && name === 'vitest')) {
        problems.push(`${file}: imports ${name}, which ${manifest.name} does not declare`)
      }
      if (name.startsWith('@salvor/') && !isTest && name !== manifest.name && !(ringOf(name) < ring)) {
        problems.push(`${file}: ring ${ring} may not import ${name} (ring ${ringOf(name)})`)
      }
    }
  }
  if (isTest) return
  const lines = text.split('\n').length - 1
  if (lines > MOST_LINES) problems.push(`${file}: ${lines} lines; ${MOST_LINES} at most`)
  if (/^services\/.*\/handlers\//.test(file) && lines > SERVICE_HANDLER_LINES) {
    problems.push(`${file}: a handler has ${SERVICE_HANDLER_LINES} lines at most, this one ${lines}`)
  }
  for (const [what, pattern, where, why] of FORBIDDEN) {
    if (pattern.test(stripComments(text)) && where.test(file)) problems.push(`${file}: ${what}: ${why}`)
  }
}

function checkRelative(file, target, manifest) {
  const folder = globSync(['packages/*', 'services/*', 'demo', 'bench', 'test'], { cwd: root }).find((f) =>
    file.startsWith(`${f}/`),
  )
  if (relative(folder, join(dirname(file), target)).startsWith('..')) {
    problems.push(`${file}: reaches out of ${manifest.name} by ${target}; import the package instead`)
  }
}

function checkCycles() {
  const graph = new Map()
  for (const folder of folders) {
    const { name, dependencies = {} } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
    graph.set(
      name,
      Object.keys(dependencies).filter((dependency) => dependency.startsWith('@salvor/')),
    )
  }
  const walk = (name, path) => {
    if (path.includes(name)) problems.push(`cycle: ${[...path, name].join(' → ')}`)
    else for (const next of graph.get(name) ?? []) walk(next, [...path, name])
  }
  for (const name of graph.keys()) walk(name, [])
}

function imports(text) {
  const found = []
  const pattern = /^(?:import|export)\s[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm
  for (const match of stripComments(text).matchAll(pattern)) found.push(match[1] ?? match[2] ?? match[3])
  return found
}

function stripComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}
