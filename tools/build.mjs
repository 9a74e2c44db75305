// Compiles Salvor for running: every package, adapter, thread and forked process, with what they import, as JavaScript in the
// one folder that the argument names. `./salvor` in a checkout and the container image run the same result.
import { copyFileSync, globSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { ownFiles } from './build/own-files.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const out = resolve(process.argv[2] ?? '')
/** Packages that read files beside their code; who imports them. They stay where pnpm has put them. */
const OUTSIDE = {
  '@node-rs/crc32': 'packages/engine-postgres',
  '@sqlite.org/sqlite-wasm': 'packages/engine-sqlite',
  'better-sqlite3': 'packages/catalog',
  '@bull-board/api': 'packages/api',
  '@bull-board/fastify': 'packages/api',
}
/** Loaded by the kind that a configuration names, with `import('@salvor/store-s3')`: the folder has them under that name. */
const adapters = globSync('packages/{engine,store,channel}-*', { cwd: root }).map((folder) => basename(folder))

const bundle = await rolldown({
  cwd: root,
  input: {
    main: 'packages/cli/src/main.ts',
    ...Object.fromEntries(
      adapters.map((name) => [`node_modules/@salvor/${name}/index`, `packages/${name}/src/index.ts`]),
    ),
  },
  platform: 'node',
  tsconfig: false,
  resolve: { conditionNames: ['source', 'node'] },
  // pg looks for pg-native and goes on without it.
  external: [...Object.keys(OUTSIDE), 'pg-native'],
  plugins: [ownFiles(root)],
  onLog(level, log, report) {
    if (level === 'warn' && !log.id?.includes('node_modules')) throw new Error(log.message)
    if (level !== 'warn') report(level, log)
  },
})
await bundle.write({
  dir: out,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'code/[name]-[hash].js',
  assetFileNames: 'code/[name]-[hash][extname]',
})
await bundle.close()

// What starts `main.js` may ask a helper first.
copyFileSync(join(root, 'packages/cli/src/wal/ask-helper.pl'), join(out, 'ask-helper.pl'))
writeFileSync(join(out, 'package.json'), '{ "type": "module" }\n')
for (const name of adapters) {
  writeFileSync(join(out, 'node_modules/@salvor', name, 'package.json'), '{ "type": "module", "main": "index.js" }\n')
}
for (const [name, user] of Object.entries(OUTSIDE)) {
  const link = join(out, 'node_modules', name)
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(relative(dirname(link), join(root, user, 'node_modules', name)), link)
}
