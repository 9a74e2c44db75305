/** Exit codes of every command: documented, tested, never reused. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  incomplete: 3,
  verificationFailed: 4,
  objectiveBreached: 5,
  tryLater: 75,
  interrupted: 130,
} as const
