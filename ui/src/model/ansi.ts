// Terminal colours in log lines, as spans: what is not a colour is dropped, nothing is ever HTML.

export interface Span {
  readonly text: string
  /** 0 to 7 as in the terminal's palette; null: the text's own colour. */
  readonly colour: number | null
  readonly bold: boolean
  readonly dim: boolean
}

// Control sequences (CSI), operating system commands (OSC), and single control characters but for the tab.
// eslint-disable-next-line no-control-regex
const CODES = /\x1b\[([0-9;:?]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]?|[\x00-\x08\x0b-\x1f\x7f]/g

export function spans(line: string): Span[] {
  const out: Span[] = []
  let colour: number | null = null
  let bold = false
  let dim = false
  let at = 0
  const push = (text: string) => {
    if (text !== '') out.push({ text, colour, bold, dim })
  }
  for (const found of line.matchAll(CODES)) {
    push(line.slice(at, found.index))
    at = found.index + found[0].length
    if (found[2] !== 'm') continue
    const codes = (found[1] ?? '').split(/[;:]/).map((x) => (x === '' ? 0 : Number(x)))
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i] ?? 0
      if (code === 0) [colour, bold, dim] = [null, false, false]
      else if (code === 1) bold = true
      else if (code === 2) dim = true
      else if (code === 22) bold = dim = false
      else if (code >= 30 && code <= 37) colour = code - 30
      else if (code >= 90 && code <= 97) colour = code - 90
      else if (code === 39) colour = null
      else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : codes[i + 1] === 2 ? 4 : 0 // exact colours fit no theme
    }
  }
  push(line.slice(at))
  return out
}

export const plain = (line: string): string => line.replace(CODES, '')

export type Level = 'error' | 'warn' | 'info' | 'debug'

const LEVELS: readonly [Level, RegExp][] = [
  ['error', /\b(?:ERR(?:OR)?|FATAL|CRIT(?:ICAL)?|PANIC|EMERG|ALERT)\b|\blevel=(?:error|fatal|panic)\b|\[(?:error|crit|alert|emerg)\]/i],
  ['warn', /\bWARN(?:ING)?\b|\blevel=warn(?:ing)?\b/i],
  ['debug', /\b(?:DEBUG|TRACE|VERBOSE)\b|\blevel=(?:debug|trace)\b/i],
  ['info', /\b(?:INFO|NOTICE)\b|\blevel=info\b/i],
]

/** What the line itself says of its weight; null where it says nothing. */
export function levelOf(line: string): Level | null {
  const head = line.slice(0, 200)
  return LEVELS.find(([, pattern]) => pattern.test(head))?.[0] ?? null
}
