// The journal as people read it: by day, with repeated restarts folded into one entry.
import type { Event, Severity } from '../protocol/archy'
import type { Tone } from './phase'

const TONE: Record<Severity, Tone> = { info: 'ok', warning: 'warn', error: 'bad' }
export const severityTone = (severity: Severity): Tone => TONE[severity] ?? 'off'

/** Like events in a row no further apart than this are one entry. */
const APART_MS = 180_000

export interface Group {
  /** Newest first. */
  readonly events: readonly [Event, ...Event[]]
  readonly severity: Severity
}

export interface Filter {
  readonly app: string
  readonly severity: string
  readonly actor: string
  readonly text: string
}

const RANK: Record<Severity, number> = { info: 0, warning: 1, error: 2 }

export function passes(event: Event, filter: Filter): boolean {
  if (filter.app && event.app !== filter.app) return false
  if (filter.severity && RANK[event.severity] < (RANK[filter.severity as Severity] ?? 0)) return false
  if (filter.actor && event.actor !== filter.actor) return false
  if (!filter.text) return true
  const text = filter.text.toLowerCase()
  return [event.message, event.kind, event.app ?? '', event.subject ?? '', ...event.cause].some((x) => x.toLowerCase().includes(text))
}

const same = (a: Event, b: Event) => a.kind === b.kind && a.app === b.app && a.subject === b.subject && a.op === b.op

/** From oldest first to newest first, like events in a row folded. */
export function group(events: readonly Event[]): Group[] {
  const out: { events: [Event, ...Event[]]; severity: Severity }[] = []
  for (let i = events.length - 1; i >= 0; i--) {
    const event = events[i]
    if (!event) continue
    const last = out.at(-1)
    const edge = last?.events.at(-1)
    if (last && edge && same(edge, event) && edge.at - event.at <= APART_MS) {
      last.events.push(event)
      if (RANK[event.severity] > RANK[last.severity]) last.severity = event.severity
    } else out.push({ events: [event], severity: event.severity })
  }
  return out
}

/** How often it happened, with what the node left out because it came too fast. */
export const timesOf = (g: Group): number => g.events.reduce((n, e) => n + 1 + e.suppressed, 0)

/** The day of a time, as a key; the local one of the reader. */
export function dayOf(ms: number): string {
  const d = new Date(ms)
  return `${d.getFullYear()}-${d.getMonth() + 1}-${d.getDate()}`
}
