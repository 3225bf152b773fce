// One container's log as the page keeps it: the last lines, and where some are missing.
import { shallowRef, type ShallowRef } from 'vue'
import type { LogEntry, SubStream } from '../protocol/archy'
import type { Journal } from './client'
import { fresh, type EntriesFrame } from './journal'

const KEEP = 10_000
/** Cut in larger steps, so that a flood does not copy the whole list for every frame. */
const SLACK = 2_000
const TAIL = 500

export type LogRow =
  | { readonly id: number; readonly kind: 'line'; readonly text: string; readonly stderr: boolean | null }
  /** `lost`: how many lines are missing here; null where nobody knows, after a lost connection. */
  | { readonly id: number; readonly kind: 'gap'; readonly lost: number | null }

export class LogJournal implements Journal {
  /** Changes once per frame; read `rows` when it does. */
  readonly version: ShallowRef<number> = shallowRef(0)
  readonly ready: ShallowRef<boolean> = shallowRef(false)
  readonly rows: LogRow[] = []
  /** How many rows were let go at the front. */
  trimmed = 0
  readonly #stream: `logs:${string}/${string}`
  #seq: number | null = null
  #had = false
  #id = 0
  #touched = false

  constructor(app: string, service: string) {
    this.#stream = `logs:${app}/${service}`
  }

  hello(): void {
    if (this.#had) this.#push({ id: ++this.#id, kind: 'gap', lost: null })
    this.#seq = null
  }

  sub(): SubStream {
    // Numbers count from the subscription: after a loss only what comes from now on is new for sure.
    return { stream: this.#stream, tail: this.#had ? 0 : TAIL }
  }

  receive(frame: EntriesFrame): void {
    const got = fresh<LogEntry>(this.#seq, frame)
    if (!got) return
    this.#seq = got.seq
    this.#had = true
    if (got.missing > 0) this.#push({ id: ++this.#id, kind: 'gap', lost: got.missing })
    for (const entry of got.items) this.#push({ id: ++this.#id, kind: 'line', text: entry.line, stderr: entry.stderr })
    this.#touched = true
  }

  get received(): number {
    return this.#seq ?? -1
  }

  flush(): void {
    if (!this.#touched) return
    this.#touched = false
    if (this.rows.length > KEEP + SLACK) {
      const gone = this.rows.length - KEEP
      this.rows.splice(0, gone)
      this.trimmed += gone
    }
    this.ready.value = true
    this.version.value++
  }

  #push(row: LogRow): void {
    this.rows.push(row)
    this.#touched = true
  }
}
