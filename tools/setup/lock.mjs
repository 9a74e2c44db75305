import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Runs `work` while no other process of this checkout sets up; a lock whose owner died is taken over. */
export async function locked(folder, work) {
  mkdirSync(join(folder, '..'), { recursive: true })
  for (;;) {
    try {
      mkdirSync(folder)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      if (!ownerAlive(folder)) rmSync(folder, { recursive: true, force: true })
      else await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
  try {
    writeFileSync(join(folder, 'pid'), String(process.pid))
    return await work()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

let firstSeen = 0
function ownerAlive(folder) {
  let pid
  try {
    pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
  } catch {
    // The owner makes the folder first and writes its pid then: give it a moment.
    firstSeen ||= Date.now()
    return Date.now() - firstSeen < 5000
  }
  firstSeen = 0
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
