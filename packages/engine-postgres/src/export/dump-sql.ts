import type { EngineContext } from '@salvor/shared/ports/engine'
import type { ExportedFile, ExportRequest } from '@salvor/shared/ports/reading'
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Contents, CONTENTS, GLOBALS } from '../logical/contents.ts'
import { hasObjects, objectArguments, wantedDatabases } from '../logical/parts.ts'
import { restoreProgram } from '../logical/restore-program.ts'
import { dumpFile } from '../logical/restore-to-folder.ts'
import { writeOutput } from './write-output.ts'

/** A logical backup as statements for psql: no server is needed for that. */
export async function exportDumpSql(
  context: EngineContext,
  request: ExportRequest,
  signal: AbortSignal,
): Promise<readonly ExportedFile[]> {
  const { restored, folder, parts, engine_facts } = request
  const contents = Contents.parse(JSON.parse(await readFile(join(restored, CONTENTS), 'utf8')))
  const { path: program } = await restoreProgram(context, engine_facts)
  const files: ExportedFile[] = []
  if (!hasObjects(parts) && !parts?.databases?.length) {
    await copyFile(join(restored, GLOBALS), join(folder, GLOBALS))
    files.push({ file: GLOBALS, what: 'roles and tablespaces', rows: null })
  }
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' }
  for (const database of wantedDatabases(contents, parts)) {
    const file = dumpFile(database).replace(/dump$/, 'sql')
    const how = hasObjects(parts) ? objectArguments(parts!) : ['--create']
    const args = ['--file=-', ...how, join(restored, dumpFile(database))]
    await writeOutput(context, { program, args, env }, { file: join(folder, file), what: database.name }, signal)
    files.push({ file, what: database.name, rows: null })
  }
  return files
}
