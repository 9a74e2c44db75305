import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const PLACE = /new URL\(\s*('[^']*'|[^,()]+)\s*,\s*import\.meta\.url\s*\)/g

/**
 * Threads and forked processes are files of their own: `new URL('./thread.ts', import.meta.url)` in a source becomes the
 * address of the compiled file, and any other file is copied. The name must be a literal, since nothing else can be followed.
 */
export function ownFiles(root) {
  return {
    name: 'salvor:own-files',
    transform: {
      filter: { id: /\/(packages|services)\/[^/]+\/src\/.*\.ts$/, code: 'import.meta.url' },
      handler(code, id) {
        if (id.includes('node_modules')) return null
        return code.replaceAll(PLACE, (whole, word) => {
          if (!word.startsWith("'")) this.error(`${id.slice(root.length + 1)}: ${whole}: name the file as a literal`)
          const file = join(dirname(id), word.slice(1, -1))
          const reference = file.endsWith('.ts')
            ? this.emitFile({ type: 'chunk', id: file, name: basename(file, '.ts') })
            : this.emitFile({ type: 'asset', name: basename(file), source: readFileSync(file) })
          return `new URL(import.meta.ROLLUP_FILE_URL_${reference})`
        })
      },
    },
  }
}
