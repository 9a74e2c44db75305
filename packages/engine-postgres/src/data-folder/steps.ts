import { mkdir, readlink, rename, rmdir, symlink, unlink } from 'node:fs/promises'

/** A change of the file system that can be taken back. */
export interface Step {
  act(): Promise<void>
  undo(): Promise<void>
}

/** All steps, or none: what was done is undone in reverse order. */
export async function runAll(steps: readonly Step[]): Promise<void> {
  const done: Step[] = []
  try {
    for (const step of steps) {
      await step.act()
      done.push(step)
    }
  } catch (error) {
    for (const step of done.toReversed()) await step.undo()
    throw error
  }
}

export const move = (from: string, to: string): Step => ({
  act: () => rename(from, to),
  undo: () => rename(to, from),
})

export const make = (folder: string): Step => ({
  act: () => mkdir(folder, 0o700),
  undo: () => rmdir(folder),
})

/** Removes an empty folder. */
export const unmake = (folder: string): Step => ({ act: () => rmdir(folder), undo: () => mkdir(folder, 0o700) })

/** Lets a symbolic link lead elsewhere. */
export function relink(link: string, to: string): Step {
  let former = ''
  return {
    async act() {
      former = await readlink(link)
      await replaceLink(link, to)
    },
    undo: () => replaceLink(link, former),
  }
}

async function replaceLink(link: string, to: string): Promise<void> {
  await unlink(link)
  await symlink(to, link)
}
