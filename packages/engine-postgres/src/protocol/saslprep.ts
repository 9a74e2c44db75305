/** RFC 3454 B.1: mapped to nothing. */
const NOTHING = /[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/gu
/** RFC 3454 C.1.2: spaces beyond ASCII. */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu
/** RFC 3454 C.2 to C.9: controls, private use, non-characters, surrogates, inappropriate, display and tagging characters. */
const PROHIBITED =
  /[\u0000-\u001f\u007f-\u009f\u06dd\u070f\u180e\u200c-\u200f\u2028-\u202e\u2060-\u2063\u206a-\u206f\u2ff0-\u2ffb\ue000-\uf8ff\ufdd0-\ufdef\ufeff\ufff9-\uffff\u0340\u0341\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}\u{f0000}-\u{10ffff}]|[\ufffe\uffff]/u
const SURROGATES = /\p{Surrogate}/u
/** Characters of scripts that run right to left, as far as passwords go. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\u200f]/u
const LEFT_TO_RIGHT = /\p{Lu}|\p{Ll}|\p{Lt}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}/u

/**
 * SASLprep (RFC 4013) as PostgreSQL applies it to passwords: one that it does not allow is used as it is, by server and
 * client alike.
 */
export function saslprep(password: string): string {
  if (/^[\u0020-\u007e]*$/u.test(password)) return password
  const prepared = password.replace(SPACES, ' ').replace(NOTHING, '').normalize('NFKC')
  return prepared === '' || PROHIBITED.test(prepared) || SURROGATES.test(prepared) || mixesDirections(prepared)
    ? password
    : prepared
}

/** RFC 3454, 6: text with a right-to-left character begins and ends with one, and has no left-to-right letter. */
function mixesDirections(text: string): boolean {
  if (!RIGHT_TO_LEFT.test(text)) return false
  const characters = [...text]
  return (
    LEFT_TO_RIGHT.test(text.replace(new RegExp(RIGHT_TO_LEFT, 'gu'), '')) ||
    !RIGHT_TO_LEFT.test(characters[0]!) ||
    !RIGHT_TO_LEFT.test(characters.at(-1)!)
  )
}
