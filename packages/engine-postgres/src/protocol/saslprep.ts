type Ranges = readonly (readonly [first: number, last: number])[]

/** RFC 3454 B.1: mapped to nothing. */
const NOTHING: Ranges = [
  [0xad, 0xad],
  [0x34f, 0x34f],
  [0x1806, 0x1806],
  [0x180b, 0x180d],
  [0x200b, 0x200d],
  [0x2060, 0x2060],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
]
/** RFC 3454 C.1.2: spaces beyond ASCII. */
const SPACES: Ranges = [
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200b],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
]
/** RFC 3454 C.2 to C.9: controls, private use, non-characters, surrogates, inappropriate, display and tagging characters. */
const PROHIBITED: Ranges = [
  [0x0, 0x1f],
  [0x7f, 0x9f],
  [0x340, 0x341],
  [0x6dd, 0x6dd],
  [0x70f, 0x70f],
  [0x180e, 0x180e],
  [0x200c, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x2063],
  [0x206a, 0x206f],
  [0x2ff0, 0x2ffb],
  [0xd800, 0xf8ff],
  [0xfdd0, 0xfdef],
  [0xfeff, 0xfeff],
  [0xfff9, 0xffff],
  [0x1d173, 0x1d17a],
  [0xe0001, 0xe0001],
  [0xe0020, 0xe007f],
  [0xf0000, 0x10ffff],
]
/** Characters of scripts that run right to left, as far as passwords go. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u
const LEFT_TO_RIGHT = /\p{Lu}|\p{Ll}|\p{Lt}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}/u

const within = (ranges: Ranges, point: number): boolean =>
  ranges.some(([first, last]) => point >= first && point <= last)

/**
 * SASLprep (RFC 4013) as PostgreSQL applies it to passwords: one that it does not allow is used as it is, by server and
 * client alike.
 */
export function saslprep(password: string): string {
  if (/^[ -~]*$/.test(password)) return password
  const prepared = pointsOf(password)
    .map((point) => (within(SPACES, point) ? 0x20 : point))
    .filter((point) => !within(NOTHING, point))
    .map((point) => String.fromCodePoint(point))
    .join('')
    .normalize('NFKC')
  const allowed = prepared !== '' && !pointsOf(prepared).some((point) => within(PROHIBITED, point))
  return allowed && !mixesDirections(prepared) ? prepared : password
}

const pointsOf = (text: string): number[] => Array.from(text, (character) => character.codePointAt(0)!)

/** RFC 3454, 6: text with a right-to-left character begins and ends with one, and has no left-to-right letter. */
function mixesDirections(text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) return false
  const characters = Array.from(text)
  const letters = characters.filter((character) => !RIGHT_TO_LEFT.test(character))
  const ends = [characters[0]!, characters.at(-1)!]
  return letters.some((letter) => LEFT_TO_RIGHT.test(letter)) || !ends.every((end) => RIGHT_TO_LEFT.test(end))
}
