// The node's journal as the page keeps it: the newest entries, pushed, and older pages that were asked for.
import { shallowRef, type ShallowRef } from 'vue'
import type { Event, EventPage, SubStream } from '../protocol/archy'
import { fresh, type EntriesFrame } from './journal'
import type { Journal } from './client'

const KEEP = 1_000
const TAIL = 200

export interface EventsView {
  readonly ready: boolean
  /** Oldest first. */
  readonly items: readonly Event[]
  /** `before` of the next older page; null at the journal's beginning. */
  readonly older: number | null
}

const EMPTY: EventsView = { ready: false, items: [], older: null }

export class EventJournal implements Journal {
  readonly view: ShallowRef<EventsView> = shallowRef(EMPTY)
  #next: EventsView = EMPTY
  #seq: number | null = null
  #epoch = ''
  #touched = false

  hello(epoch: string): void {
    this.#epoch = epoch
  }

  sub(): SubStream {
    // The journal's numbers outlive a restart of the node, so every cursor is good.
    return this.#seq === null ? { stream: 'events', tail: TAIL } : { stream: 'events', resume: { epoch: this.#epoch, seq: this.#seq } }
  }

  receive(frame: EntriesFrame): void {
    const got = fresh<Event>(this.#seq, frame)
    if (!got) return
    const first = this.#seq === null
    this.#seq = got.seq
    // After a gap the list begins anew: older pages fill it without holes.
    const kept = got.missing > 0 ? [] : this.#next.items
    const items = [...kept, ...got.items].slice(-KEEP)
    const oldest = items[0]
    const cut = first || got.missing > 0 || items.length < kept.length + got.items.length
    const older = cut ? (oldest && oldest.seq > 1 ? oldest.seq : null) : this.#next.older
    this.#next = { ready: true, items, older }
    this.#touched = true
  }

  get received(): number {
    return this.#seq ?? -1
  }

  flush(): void {
    if (!this.#touched) return
    this.#touched = false
    this.view.value = this.#next
  }

  /** Puts an older page, newest first, before what is there. */
  prepend(page: EventPage): void {
    const first = this.#next.items[0]?.seq ?? Number.POSITIVE_INFINITY
    const older = page.items.filter((e) => e.seq < first).reverse()
    this.#next = { ...this.#next, items: [...older, ...this.#next.items], older: page.next }
    this.view.value = this.#next
  }

  clear(): void {
    this.#next = EMPTY
    this.#seq = null
    this.view.value = EMPTY
  }
}
