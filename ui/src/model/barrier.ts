// Read your own writes: a command's effect is on the page once the page has these sequences.
import type { StreamId } from '../protocol/archy'

export interface Barrier {
  readonly at: Partial<Record<StreamId, number>>
  /** Epoch in which the command was sent. */
  readonly epoch: string | null
}

export interface Shown {
  readonly ready: boolean
  readonly stale: boolean
  readonly seq: number
  readonly epoch: string | null
}

/** Streams that are not looked at do not hold it up; a whole snapshot of a later epoch fulfils it. */
export function reached(barrier: Barrier, streams: Partial<Record<StreamId, Shown>>): boolean {
  return Object.entries(streams).every(([name, shown]) => {
    const want = barrier.at[name as StreamId]
    if (want === undefined) return true
    if (!shown.ready || shown.stale) return false
    return shown.epoch !== barrier.epoch || shown.seq >= want
  })
}
