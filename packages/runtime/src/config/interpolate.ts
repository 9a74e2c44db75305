import type { Environment } from './loaded-config.ts'

export interface Interpolated {
  readonly text: string
  /** Names of the variables, present or not. */
  readonly variables: readonly string[]
  /** What is missing; the value must then not be used. */
  readonly missing: readonly { readonly reason: string; readonly fix: string }[]
}

const SLOT = /\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)([^}]*))?\}|\$\{/g

/**
 * `${VAR}`, `${VAR:-default}` (also for an empty one) and `${VAR:?message}` in one scalar; `$${` is a plain `${`. Works on
 * parsed scalars, so what a variable holds can never become YAML.
 */
export function interpolate(text: string, env: Environment): Interpolated {
  const variables: string[] = []
  const missing: { reason: string; fix: string }[] = []
  const filled = text.replace(SLOT, (slot: string, escaped?: string, name?: string, form?: string, rest?: string) => {
    if (escaped !== undefined) return escaped
    if (name === undefined) {
      missing.push({ reason: 'a ${ that is not ${NAME}, ${NAME:-default} or ${NAME:?message}', fix: ESCAPE })
      return slot
    }
    variables.push(name)
    const value = env[name]
    if (form === ':-') return value === undefined || value === '' ? rest! : value
    const absent = value === undefined || (form === ':?' && value === '')
    if (absent)
      missing.push({
        reason: absence(name, form === ':?' ? rest! : ''),
        fix: `set ${name}, or write ${defaulted(name)}`,
      })
    return value ?? ''
  })
  return { text: filled, variables, missing }
}

const ESCAPE = 'write $${ where a plain ${ is meant'

function defaulted(name: string): string {
  return `\${${name}:-default}`
}

function absence(name: string, message: string): string {
  return `the environment variable ${name} is not set${message === '' ? '' : `: ${message}`}`
}
