import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Suites of Debian that have servers whose own incrementals Salvor takes, and a pgBackRest with block incrementals. */
const WANTED = [
  { major: 17, suite: 'trixie', packages: ['postgresql-17', 'postgresql-client-17', 'pgbackrest'] },
  { major: 18, suite: 'forky', packages: ['postgresql-18', 'postgresql-client-18'] },
]
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
/** After so long a machine that could not have them is asked again. */
const RETRY_MS = 24 * 60 * 60 * 1000

/**
 * Puts newer PostgreSQL programs than npm has into .cache/postgresql/<major>/bin, for tests and the bench: packages of newer Debian
 * suites, by this machine's apt and mirror, their signatures checked, nothing installed. Where that cannot be, the reason lies in
 * .cache/postgresql/<major>.missing, for the tests that are skipped.
 */
export async function newerPostgres(root, env, say) {
  const home = join(root, '.cache/postgresql')
  const lacking = WANTED.filter(({ major }) => !existsSync(join(home, `${major}/bin`)) && !toldOf(home, major))
  if (lacking.length === 0) return
  mkdirSync(home, { recursive: true })
  // Of a set-up that was ended: no two run at once.
  for (const name of readdirSync(home))
    if (name.startsWith('new-')) rmSync(join(home, name), { recursive: true, force: true })
  const { mirror, reason } = mirrorOf(env)
  if (mirror) {
    const what = lacking.map(({ major, suite }) => `${major} of ${suite}`).join(' and ')
    say(`fetching PostgreSQL ${what} from this machine’s Debian mirror, for tests (once, some 40 MB each) …`)
  }
  await Promise.all(
    lacking.map(async (wanted) => {
      const refusal = mirror ? await fetched(home, wanted, mirror, env) : reason
      if (!refusal) return
      writeFileSync(join(home, `${wanted.major}.missing`), `${refusal}\n`)
      say(`no newer PostgreSQL ${wanted.major} here, some tests are skipped: ${refusal}`)
    }),
  )
}

function toldOf(home, major) {
  const file = join(home, `${major}.missing`)
  return existsSync(file) && Date.now() - statSync(file).mtimeMs < RETRY_MS
}

function mirrorOf(env) {
  if (process.platform !== 'linux') return { reason: 'Debian’s programs run on Linux only' }
  const asked = spawnSync('apt-get', ['--print-uris', 'update'], { env, encoding: 'utf8' })
  if (asked.status !== 0) return { reason: 'no apt here' }
  const mirror = /'(https?:\/\/\S+\/debian)\/dists\//.exec(asked.stdout)?.[1]
  if (!mirror) return { reason: 'apt knows no Debian mirror here' }
  if (!existsSync(KEYRING)) return { reason: `no ${KEYRING} to check signatures by` }
  return { mirror }
}

/** The reason where it could not be had. */
async function fetched(home, { major, suite, packages }, mirror, env) {
  const fresh = join(home, `new-${major}-${process.pid}`)
  mkdirSync(join(fresh, 'apt'), { recursive: true })
  try {
    // A mirror may lag behind what a rolling suite promises of its freshness; who signed it is asked all the same.
    const trust = `signed-by=${KEYRING} check-valid-until=no`
    writeFileSync(join(fresh, 'apt/sources.list'), `deb [${trust}] ${mirror} ${suite} main\n`)
    const script = spawn('sh', ['-c', FETCH, 'fetch', String(major), ...packages], {
      cwd: fresh,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    script.stderr.on('data', (data) => (said += data))
    const [code] = await once(script, 'close')
    if (code !== 0) return `apt could not give it from ${suite}: ${lastLine(said)}`
    wrap(fresh, major)
    const run = spawnSync(join(fresh, 'bin/postgres'), ['--version'], { encoding: 'utf8' })
    if (run.status !== 0) return `that of ${suite} does not run here: ${lastLine(run.stderr)}`
    rmSync(join(home, String(major)), { recursive: true, force: true })
    renameSync(fresh, join(home, String(major)))
    rmSync(join(home, `${major}.missing`), { force: true })
    return null
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

const lastLine = (text) => text.trim().split('\n').at(-1) ?? ''

/** Only libraries are taken of what the packages depend on, and none that only just-in-time compilation and Perl need. */
const FETCH = `set -e
major=$1; shift
mkdir -p apt/lists/partial apt/cache/archives/partial apt/none deb root
: > apt/status
here=$PWD/apt
with() {
  program=$1; shift
  "$program" -qq -o Dir::Etc::sourcelist="$here/sources.list" -o Dir::Etc::sourceparts="$here/none" \\
    -o Dir::Etc::preferences="$here/none/preferences" -o Dir::Etc::preferencesparts="$here/none" -o Dir::State="$here" \\
    -o Dir::State::lists="$here/lists" -o Dir::State::status="$here/status" -o Dir::Cache="$here/cache" \\
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \\
    -o Acquire::Retries=1 -o Acquire::http::Timeout=20 "$@"
}
with apt-get update --error-on=any
all=$(printf '%s\\n' "$@"); new=$all
while [ -n "$new" ]; do
  new=$(with apt-cache depends $new | sed -n 's/^ *|\\{0,1\\}\\(Pre\\)\\{0,1\\}Depends: //p' | grep '^lib' |
    grep -Ev '^lib(llvm|perl)|-perl$|-common$' | sort -u | grep -vxF "$all" || true)
  all=$(printf '%s\\n%s' "$all" "$new")
done
cd deb
with apt-get download $all
for file in *.deb; do dpkg -x "$file" ../root; done
cd ..
mkdir -p lib/postgresql share/postgresql programs so
mv root/usr/lib/postgresql/$major lib/postgresql/
mv root/usr/share/postgresql/$major share/postgresql/
mv lib/postgresql/$major/bin/* programs/
[ ! -e root/usr/bin/pgbackrest ] || mv root/usr/bin/pgbackrest programs/
cp -a root/usr/lib/*-linux-gnu/*.so* so/
rm -rf lib/postgresql/$major/lib/bitcode lib/postgresql/$major/lib/llvmjit* share/postgresql/$major/man apt deb root
`

/**
 * The programs want a newer C library than this system's, so each is started by the loader that came with them. A program of
 * PostgreSQL looks for the others beside itself and for its files in ../../../share, so there is a script for it there, too.
 */
function wrap(folder, major) {
  const deep = `lib/postgresql/${major}/bin`
  mkdirSync(join(folder, 'bin'))
  for (const name of readdirSync(join(folder, 'programs'))) {
    script(join(folder, deep, name), LOADED(name))
    script(join(folder, 'bin', name), `#!/bin/sh\nexec "\${0%/*}/../${deep}/${name}" "$@"\n`)
  }
}

const LOADED = (name) => `#!/bin/sh
home=\${0%/lib/postgresql/*}
for loader in "$home"/so/ld-linux-*.so.*; do :; done
exec "$loader" --argv0 "$0" --library-path "$home/so" "$home/programs/${name}" "$@"
`

function script(file, text) {
  writeFileSync(file, text)
  chmodSync(file, 0o755)
}
