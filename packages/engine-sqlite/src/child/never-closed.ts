import type Database from 'better-sqlite3'

const kept: Database.Database[] = []

/**
 * Leaves a connection to the end of the process, which the parent brings about. Closing the last one would move the log into the
 * main file and delete it, and a connection that nobody refers to is closed by the garbage collector.
 */
export function neverClose(database: Database.Database): Database.Database {
  kept.push(database)
  return database
}
