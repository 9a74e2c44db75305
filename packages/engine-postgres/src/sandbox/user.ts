/** The user that a sandbox server runs as: PostgreSQL refuses root, so then it is `nobody`, who owns nothing else here. */
export interface ServerUser {
  readonly uid?: number
  readonly gid?: number
}

const NOBODY = 65_534

export const serverUser = (): ServerUser => (process.geteuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {})
