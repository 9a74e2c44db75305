import type { SlackMessage, SlackBlock } from './message.ts'

/** A message as its reader sees it, in plain lines: for a terminal, and for tests. */
export function renderSlack(message: SlackMessage): string {
  return message.blocks.flatMap(linesOf).join('\n')
}

function linesOf(block: SlackBlock): string[] {
  if (block.type === 'context') return [block.elements.map((element) => shown(element.text)).join('  |  ')]
  if ('fields' in block) {
    const facts = block.fields.map((field) => shown(field.text).split('\n'))
    const width = Math.max(...facts.map(([label = '']) => label.length))
    return facts.map(([label = '', ...value]) => `${label.padEnd(width)}  ${value.join(' ')}`)
  }
  return [block.text.type === 'mrkdwn' ? shown(block.text.text) : block.text.text]
}

function shown(marked: string): string {
  return marked
    .replaceAll(/<!date\^[^|>]*\|([^>]*)>/g, '$1')
    .replaceAll(/^\*(.*)\*$/gm, '$1')
    .replaceAll('`', '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}
