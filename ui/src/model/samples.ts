// A short memory of measurements, kept by the page that shows them: the node sends only the latest.
import type { MetricsView } from '../protocol/archy'

export interface Sample {
  readonly at: number
  readonly cpu: number
  readonly memory: number
}

export function sampleOf(view: MetricsView): Sample {
  return {
    at: view.measured_at,
    cpu: view.usage.reduce((sum, u) => sum + u.cpu, 0),
    memory: view.usage.reduce((sum, u) => sum + u.memory_bytes, 0),
  }
}

/** With the new one, without those that are older than the window. */
export function remember(list: readonly Sample[], next: Sample, windowMs: number): Sample[] {
  if (list.length > 0 && (list.at(-1)?.at ?? 0) >= next.at) return [...list]
  return [...list.filter((s) => s.at > next.at - windowMs), next]
}

/** The points of a line in a box; gaps of more than three seconds break it. */
export function path(list: readonly Sample[], value: (s: Sample) => number, windowMs: number, width: number, height: number, top: number): string {
  const end = list.at(-1)?.at ?? 0
  let out = ''
  let last: number | null = null
  for (const s of list) {
    const x = width - ((end - s.at) / windowMs) * width
    const y = height - (top > 0 ? Math.min(1, value(s) / top) : 0) * height
    out += `${last === null || s.at - last > 3_500 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`
    last = s.at
  }
  return out
}
