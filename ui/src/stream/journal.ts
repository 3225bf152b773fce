// The pure core of journals: numbered entries that only grow, kept up to a limit.
//
//   seq <= have         a duplicate: ignored
//   item <= have        left out, for instance after a resume that began a little earlier
//   from > have         what lies between is missing here, and is counted as dropped
import type { Entry, ServerMsg } from '../protocol/archy'

export type EntriesFrame = Extract<ServerMsg, { t: 'entries' }>

export interface Fresh<T> {
  readonly items: readonly T[]
  /** Entries between the last that was had and the first of `items` that are not here. */
  readonly missing: number
  readonly seq: number
}

/** What is new in the frame for one who has everything up to `have` (null: nothing yet). */
export function fresh<T extends Entry>(have: number | null, frame: EntriesFrame): Fresh<T> | null {
  if (have !== null && frame.seq <= have) return null
  const items = frame.items.filter((item) => have === null || item.seq > have) as T[]
  // Before the first frame nothing is missing: what is older was not asked for.
  const gap = have === null ? 0 : Math.max(0, frame.from - have)
  return { items, missing: Math.max(gap, frame.dropped), seq: frame.seq }
}
