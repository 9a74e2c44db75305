import { constants, getPriority, setPriority } from 'node:os'

/** 0 is the calling thread, not the process. */
const THIS_THREAD = 0

/**
 * On a machine that is short of processors, a thread that is put aside while it holds the write lock stops every writer.
 * Where the system allows it (root, CAP_SYS_NICE) this thread goes first until the returned function is called;
 * elsewhere nothing changes.
 */
export function goFirst(): () => void {
  const before = getPriority(THIS_THREAD)
  try {
    setPriority(THIS_THREAD, constants.priority.PRIORITY_HIGHEST)
  } catch {
    return () => undefined
  }
  return () => setPriority(THIS_THREAD, before)
}
