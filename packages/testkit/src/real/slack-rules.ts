/** The part of Slack's checks on an incoming webhook that Salvor can run into. Gives Slack's own error word, or null. */
export function slackRefusal(body: string): string | null {
  const message = parsed(body)
  if (!message) return 'invalid_payload'
  const { text, blocks } = message
  if (blocks === undefined) return typeof text === 'string' && text !== '' ? null : 'no_text'
  if (!Array.isArray(blocks) || blocks.length === 0 || blocks.length > 50) return 'invalid_blocks'
  if (!blocks.every(fits)) return 'invalid_blocks'
  const characters = blocks.flatMap(textsOf).reduce((sum, each) => sum + each.length, 0)
  return characters > 13_000 ? 'msg_blocks_too_long' : null
}

function parsed(body: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

interface TextObject {
  type?: unknown
  text?: unknown
}
interface Block {
  type?: unknown
  text?: TextObject
  fields?: TextObject[]
  elements?: TextObject[]
}

function fits(block: Block): boolean {
  switch (block.type) {
    case 'header':
      return block.text?.type === 'plain_text' && textFits(block.text, 150)
    case 'section':
      if (block.text === undefined && block.fields === undefined) return false
      return (block.text === undefined || textFits(block.text, 3000)) && listFits(block.fields ?? null, 10, 2000)
    case 'context':
      return listFits(block.elements ?? [], 10, 2000) && (block.elements ?? []).length > 0
    case 'divider':
      return true
    default:
      return false
  }
}

function listFits(list: TextObject[] | null, count: number, limit: number): boolean {
  if (list === null) return true
  return list.length > 0 && list.length <= count && list.every((each) => textFits(each, limit))
}

/** In mrkdwn a bare `<` or `&` is not an error at Slack, but it is one here: it means that nobody escaped it. */
function textFits({ type, text }: TextObject, limit: number): boolean {
  if (typeof text !== 'string' || text === '' || text.length > limit) return false
  if (type === 'plain_text') return true
  return type === 'mrkdwn' && !/&(?!amp;|lt;|gt;)|<(?!!date\^\d+\^[^|<>]+\|[^|<>]+>)/.test(text)
}

function textsOf(block: Block): string[] {
  return [block.text, ...(block.fields ?? []), ...(block.elements ?? [])].map((each) =>
    typeof each?.text === 'string' ? each.text : '',
  )
}
