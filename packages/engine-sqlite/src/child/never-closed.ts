import type Database from 'better-sqlite3'

const kept = new Set<Database.Database>()

/**
 * Leaves a connection to the end of the process, which the parent brings about. Closing the last one would move the log into the
 * main file and delete it, and a connection that nobody refers to is closed by the garbage collector.
 */
export function neverClose(database: Database.Database): Database.Database {
  kept.add(database)
  return database
}

/** Closes one after all, where it is known that this moves no log. */
export function closeNow(database: Database.Database): void {
  database.close()
  kept.delete(database)
}
