import type { Segment } from './frame-table.ts'
import { sha256 } from './hash.ts'
import type { Manifest } from './manifest.ts'
import { RECOVER_SCRIPT } from './recover-script.ts'
import type { WrappedKeys } from './wrapped-keys.ts'

/** A backup that an incremental stands on. */
export interface ChainLink {
  readonly id: string
  readonly filename: string
}

/** What the commands of a RECOVERY.md depend on. Names and numbers only: nothing in it comes from a database. */
export interface RecoveryFacts {
  readonly manifest: Pick<
    Manifest,
    | 'id'
    | 'filename'
    | 'timestamp'
    | 'consistent_at'
    | 'size_bytes'
    | 'source_bytes'
    | 'checksum_sha256'
    | 'compression'
    | 'engine_facts'
  >
  readonly segments: readonly Segment[]
  /** Of an incremental: the backups below it, the full first. Empty otherwise. */
  readonly chain: readonly ChainLink[]
  /** Null: the artifact is plain. */
  readonly keys: { readonly filename: string; readonly wrapped: WrappedKeys['wrapped'] } | null
}

/** The commands that restore one backup with standard programs alone (docs/format.md section 6). */
export function recoveryText(facts: RecoveryFacts): string {
  const { manifest, keys, chain } = facts
  const isTar = manifest.filename.includes('.tar.')
  const into = chain.length === 0 ? 'restored' : stemOf(manifest.filename)
  const steps = [
    `Restore it without Salvor, on a machine with ${programs(facts, isTar)}. Copy the objects of this backup
into one folder, go there, and run the following in bash, block after block.`,
    block('1. Compare the artifact with the checksum of its manifest.', checksumCommands(facts)),
    keys && block(`2. ${KEY_TEXT}`, keyCommands(keys)),
    block(keys ? '3. Decrypt and decompress.' : '2. Decompress.', contentCommands(facts, isTar, into)),
    chain.length > 0 && chainText(manifest.filename, chain, isTar),
    isTar ? (isDump(facts) ? DUMP_TEXT : TAR_TEXT) : DB_TEXT,
  ]
  return `# ${manifest.filename}

Backup ${manifest.id}, begun ${manifest.timestamp}. It holds the state of ${manifest.consistent_at}.
${steps.filter((step) => typeof step === 'string').join('\n')}`
}

const KEY_TEXT = `Unwrap the data key. recovery.pem is the private recovery key that was printed when the keyring was
made; the operating key of the keyring opens the other line in its place. If your key is newer than this file, take the text
after "wrapped" from the .keys.json file with the highest number: it holds the same data key. The key is on command lines
while this runs, so use a machine of your own, and delete data.key afterwards.`

const DB_TEXT = `
The database is now restored.db. Stop the program that uses the old one, remove files named like it with -wal, -shm or
-journal at the end (a stale one would be replayed into the restored database), then put it in place:

    cp restored.db /path/to/app.db
`

const isDump = ({ manifest }: RecoveryFacts): boolean => manifest.engine_facts['method'] === 'logical'

const DUMP_TEXT = `
This is a logical backup: restored/globals.sql has the roles, restored/contents.json says which databases there are, and in which
folder each lies. Its dump is cut into parts, which are put together by cat. With pg_restore and psql of PostgreSQL, of the release in
contents.json ("dump_version") or a newer one, and a server that is new or has none of these databases:

    psql -X -d postgres -f restored/globals.sql
    for folder in restored/databases/*/; do cat "$folder"dump.* | pg_restore --create --no-tablespaces -d postgres; done

For some of it: pg_restore --list shows what is there, --table, --schema or --use-list choose (pg_restore --help). A role or
database that is there already is told as an error, and kept.
`

const TAR_TEXT = `
The data folder is now restored/. For PostgreSQL: give it to the user that runs the server (chown -R), use the server's own major
version, and start it with this folder. Where restored/pg_tblspc holds folders, these are tablespaces, named by their oids, and
restored/tablespace_map says where each lay. Servers want links in their places, to folders that nobody else uses. For each:

    mv restored/pg_tblspc/<oid> /the/new/place
    ln -s /the/new/place restored/pg_tblspc/<oid>

and then, or the server would make the old links anew: rm -f restored/tablespace_map
WAL after the backup is replayed through restore_command and recovery.signal, as PostgreSQL documents.
`

/** The last step of an incremental: the backups below it, each by its own RECOVERY.md, then all together. */
function chainText(filename: string, chain: readonly ChainLink[], isTar: boolean): string {
  const script = `${stemOf(filename)}.recover.py`
  const parts = [...chain.map((link) => link.filename), filename]
  const results = parts.map((name, i) => (i === 0 ? `full${isTar ? '' : '.db'}` : partOf(name, isTar)))
  const out = isTar ? 'restored' : 'restored.db'
  return `
This is an incremental: it stands on the ${chain.length} backup(s) below. Do the steps so far for each of them, by its own
RECOVERY.md, in this folder; what the full leaves in ${out} is renamed before the next step.

${chain.map(({ filename: name, id }, i) => `    ${i + 1}. ${name}   (${id})`).join('\n')}
${block(
  'Last: put them together, oldest first.',
  `echo '${sha256(RECOVER_SCRIPT)}  ${script}' | sha256sum -c -
mv ${out} ${results[0]}
python3 ${script} ${[out, ...results].join(' ')}`,
)}`
}

function partOf(filename: string, isTar: boolean): string {
  return isTar ? stemOf(filename) : `${stemOf(filename)}.pages`
}

function stemOf(filename: string): string {
  return filename.slice(0, filename.indexOf('.'))
}

function programs({ manifest, keys, chain }: RecoveryFacts, isTar: boolean): string {
  const codec = manifest.compression.algorithm === 'zstd' ? 'zstd' : 'gzip'
  return [
    'bash',
    'sha256sum',
    codec,
    ...(keys ? ['openssl'] : []),
    ...(isTar ? ['tar'] : ['cp']),
    ...(chain.length > 0 ? ['python3'] : []),
  ].join(', ')
}

function block(title: string, commands: string): string {
  return `
${title}

\`\`\`bash
${commands}
\`\`\``
}

function checksumCommands({ manifest }: RecoveryFacts): string {
  return `set -euo pipefail
echo '${manifest.checksum_sha256}  ${manifest.filename}' | sha256sum -c -`
}

function keyCommands({ filename, wrapped }: NonNullable<RecoveryFacts['keys']>): string {
  const recovery = wrapped.find(({ purpose }) => purpose === 'recovery') ?? wrapped[0]!
  const others = wrapped.filter((key) => key !== recovery)
  const note = others.map(
    ({ purpose, key_id, wrapped }) =>
      `# ${purpose} key ${key_id} (private half: operating.pem):\n#WRAPPED='${wrapped}'`,
  )
  return `# From ${filename}; ${recovery.purpose} key ${recovery.key_id}:
WRAPPED='${recovery.wrapped}'
${note.join('\n')}
(umask 077; printf '%s' "$WRAPPED" | openssl base64 -d -A | openssl pkeyutl -decrypt -inkey recovery.pem \\
  -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 -out data.key)
KEY=$(od -An -v -tx1 data.key | tr -d ' \\n')`
}

function contentCommands(facts: RecoveryFacts, isTar: boolean, name: string): string {
  const { manifest, segments, keys } = facts
  const unpack = manifest.compression.algorithm === 'zstd' ? 'zstd -d -c' : 'gzip -d -c'
  const file = facts.chain.length === 0 ? `${name}.db` : `${name}.pages`
  const check = `test "$(wc -c < ${file})" -eq ${manifest.source_bytes}`
  const into = isTar ? `| tar -x -p -f - -C ${name}` : `> ${file}\n${check}`
  const prepare = isTar ? `mkdir -m 0700 ${name}\n` : 'umask 077\n'
  if (!keys) return `${prepare}${unpack} < ${manifest.filename} ${into}`
  return `# Each line: where a segment begins (from 1), its length, its IV.
segments() {
cat <<'END'
${segments.map(({ offset, stored, iv }) => `${offset + 1} ${stored} ${Buffer.from(iv!).toString('hex')}`).join('\n')}
END
}
decrypt() {
  while read -r start length iv; do
    { tail -c "+$start" ${manifest.filename} || true; } | head -c "$length" \\
      | openssl enc -d -aes-256-ctr -K "$KEY" -iv "\${iv}00000002"
  done
}
${prepare}segments | decrypt | ${unpack} ${into}`
}
