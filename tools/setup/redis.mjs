import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Path of a Redis server: from PATH, else Debian's package unpacked into .cache/redis without root (apt checks its
 * signature; nothing is installed). Null, with one line said, where neither is to be had: all but the queue works.
 */
export function redis(root, env, say) {
  for (const name of ['redis-server', 'valkey-server']) {
    if (spawnSync(name, ['--version'], { env }).status === 0) return name
  }
  const home = join(root, '.cache/redis')
  const wrapper = join(home, 'redis-server')
  if (existsSync(wrapper)) return wrapper
  if (spawnSync('apt-get', ['--version']).status !== 0) {
    say('no redis-server and no apt here: install Redis, or set REDIS_URL')
    return null
  }
  say('fetching Redis from this machine’s Debian sources (once) …')
  const fresh = `${home}.${process.pid}`
  mkdirSync(fresh, { recursive: true })
  const run = spawnSync('sh', ['-c', FETCH], { cwd: fresh, env, stdio: ['ignore', 2, 2] })
  if (run.status !== 0) {
    rmSync(fresh, { recursive: true, force: true })
    say('apt could not give Redis: install redis-server, or set REDIS_URL')
    return null
  }
  writeFileSync(join(fresh, 'redis-server'), WRAPPER)
  chmodSync(join(fresh, 'redis-server'), 0o755)
  rmSync(home, { recursive: true, force: true })
  renameSync(fresh, home)
  return wrapper
}

/** Private lists and caches, so that no root is needed; only packages that are missing here are fetched. */
const FETCH = `set -e
mkdir -p apt/lists/partial apt/archives/partial deb root
lists="$PWD/apt/lists"; cache="$PWD/apt"
apt() { apt-get -qq -o "Dir::State::lists=$lists" -o "Dir::Cache=$cache" "$@"; }
cd deb
apt update
names=$(apt -s --no-install-recommends install redis-server | awk '/^Inst/{print $2}')
apt download $names
for file in *.deb; do dpkg -x "$file" ../root; done
cd ..
rm -rf apt deb
`
const WRAPPER = `#!/bin/sh
home=$(dirname "$(readlink -f "$0")")
for lib in "$home"/root/usr/lib/*-linux-gnu; do LD_LIBRARY_PATH="$lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; done
export LD_LIBRARY_PATH
exec "$home/root/usr/bin/redis-server" "$@"
`
