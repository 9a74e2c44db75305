import { PAGE, SEGMENT_PAGES } from './form.ts'

/** Forks of tables and indexes; the server's other files are small, and are always sent whole. */
const RELATION = /^(?:base\/\d+|global|pg_tblspc\/\d+\/PG_[^/]+\/\d+)\/\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/

/** Pages of a file that is compared page by page; 0: it is not. */
export function pagesOf(path: string, size: number): number {
  const pages = size / PAGE
  return Number.isInteger(pages) && pages <= SEGMENT_PAGES && RELATION.test(path) ? pages : 0
}
