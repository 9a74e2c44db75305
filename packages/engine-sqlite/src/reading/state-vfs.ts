import type { Sqlite3Static } from '@sqlite.org/sqlite-wasm'
import type { StateFile } from './state-file.ts'

export const VFS = 'salvor-state'
/** The only name that opens anything. */
export const DATABASE = '/state'
const SECTOR_BYTES = 4096

/**
 * Gives SQLite one file, `DATABASE`, that never changes, as its only file system: whatever a statement names beside it does not exist, and there is
 * nothing to write to.
 */
export function installStateVfs({ capi, wasm, vfs }: Sqlite3Static, file: StateFile): void {
  const io = new capi.sqlite3_io_methods()
  membersOf(io)['$iVersion'] = 1
  const own = new capi.sqlite3_vfs()
  const builtIn = new capi.sqlite3_vfs(capi.sqlite3_vfs_find(null))
  const members = membersOf(own)
  members['$iVersion'] = 2
  members['$szOsFile'] = (capi.sqlite3_file as unknown as { structInfo: { sizeof: number } }).structInfo.sizeof
  for (const same of ['$mxPathname', '$xRandomness', '$xSleep', '$xCurrentTime', '$xCurrentTimeInt64'])
    members[same] = membersOf(builtIn)[same]
  builtIn.dispose()
  const readOnly = () => capi.SQLITE_READONLY
  const nothing = () => capi.SQLITE_OK
  vfs.installVfs({
    io: {
      struct: io,
      methods: {
        xClose: nothing,
        // The offset has 64 bits, whatever the types say.
        xRead(_file, into, count, offset: unknown) {
          const at = Number(offset)
          if (!file.read(at, wasm.heap8u().subarray(into, into + count))) return capi.SQLITE_IOERR_READ
          return at + count > file.size ? capi.SQLITE_IOERR_SHORT_READ : capi.SQLITE_OK
        },
        xWrite: readOnly,
        xTruncate: readOnly,
        xSync: nothing,
        xFileSize(_file, size) {
          wasm.poke64(size, BigInt(file.size))
          return capi.SQLITE_OK
        },
        xLock: nothing,
        xUnlock: nothing,
        xCheckReservedLock(_file, held) {
          wasm.poke32(held, 0)
          return capi.SQLITE_OK
        },
        xFileControl: () => capi.SQLITE_NOTFOUND,
        xSectorSize: () => SECTOR_BYTES as never,
        // Nobody else writes: no lock, no look for a journal or a WAL, whatever the header says.
        xDeviceCharacteristics: () => capi.SQLITE_IOCAP_IMMUTABLE as never,
      },
    },
    vfs: {
      struct: own,
      name: VFS,
      asDefault: true,
      methods: {
        xOpen(_vfs, name, opened, flags, flagsOut) {
          const handle = new capi.sqlite3_file(opened)
          const reads = (flags & capi.SQLITE_OPEN_READONLY) !== 0
          const known = reads && name !== 0 && wasm.cstrToJs(name) === DATABASE
          handle.$pMethods = known ? io.pointer : 0
          handle.dispose()
          if (flagsOut !== 0) wasm.poke32(flagsOut, flags)
          return known ? capi.SQLITE_OK : capi.SQLITE_CANTOPEN
        },
        xDelete: readOnly,
        xAccess(_vfs, _name, _flags, found) {
          wasm.poke32(found, 0)
          return capi.SQLITE_OK
        },
        xFullPathname(_vfs, name, count, into) {
          return wasm.cstrncpy(into, name, count) < count ? capi.SQLITE_OK : capi.SQLITE_CANTOPEN
        },
        xGetLastError: () => undefined,
      },
    },
  })
}

/** Members of a C struct: the library's types name only some of them. */
function membersOf(struct: object): Record<string, unknown> {
  return struct as Record<string, unknown>
}
