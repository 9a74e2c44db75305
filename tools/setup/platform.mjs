import { readdirSync } from 'node:fs'

/** One sentence for machines that Salvor does not run on; null where it does. */
export function unsupported() {
  const { platform, arch } = process
  if (platform === 'win32') return 'Salvor does not run on Windows itself: use WSL2.'
  if (platform !== 'linux' && platform !== 'darwin')
    return `Salvor runs on Linux (glibc) and macOS, not on ${platform}.`
  if (arch !== 'x64' && arch !== 'arm64') return `Salvor runs on x64 and arm64, not on ${arch}.`
  if (platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime) {
    return 'Salvor needs glibc: on Alpine use the container image.'
  }
  return null
}

/** True where a folder exists and holds something. */
export function filled(folder) {
  try {
    return readdirSync(folder).length > 0
  } catch {
    return false
  }
}
