// Rows for the page: one shallowRef per row; what changed is handed over once per animation frame.
import { shallowRef, type ShallowRef } from 'vue'
import type { StreamId, SubStream } from '../protocol/archy'
import { connected, emptyStream, reduce, resumeOf, type Outcome, type StreamFrame } from './reducer'
import { keyOf, type RowOf } from './rows'

export interface StreamMeta {
  readonly ready: boolean
  readonly stale: boolean
  /** What is on the page, not what has arrived. */
  readonly seq: number
  readonly epoch: string | null
  readonly unreadable: number
}

export class StreamStore<S extends StreamId> {
  readonly stream: S
  readonly keys: ShallowRef<readonly string[]> = shallowRef([])
  readonly meta: ShallowRef<StreamMeta>
  #state
  #refs = new Map<string, ShallowRef<RowOf<S> | undefined>>()
  #dirty = new Set<string>()
  #touched = false

  constructor(stream: S) {
    this.stream = stream
    this.#state = emptyStream(stream)
    this.meta = shallowRef(this.#metaOf())
  }

  /** The row's ref; it exists before the row does. */
  row(key: string): ShallowRef<RowOf<S> | undefined> {
    let ref = this.#refs.get(key)
    if (!ref) {
      ref = shallowRef(undefined) as ShallowRef<RowOf<S> | undefined>
      this.#refs.set(key, ref)
    }
    return ref
  }

  /** All rows that are on the page, in the order of the stream's keys. */
  all(): RowOf<S>[] {
    return this.keys.value.flatMap((key) => this.row(key).value ?? [])
  }

  /** Shows rows of an earlier visit, as last known, until the node sends its own. */
  seed(rows: readonly RowOf<S>[]): void {
    if (this.#state.ready || this.#touched) return
    const map = new Map<string, RowOf<S>>()
    for (const row of rows) {
      const key = keyOf(this.stream, row)
      if (key !== null) map.set(key, row)
    }
    this.#state = { ...this.#state, rows: map, ready: true, stale: true, seq: -1 }
    this.#dirty = new Set(map.keys())
    this.#touched = true
    this.flush()
  }

  hello(epoch: string): void {
    this.#state = connected(this.#state, epoch)
    this.#touched = true
  }

  sub(resume: boolean): SubStream {
    const at = resume ? resumeOf(this.#state) : null
    return at ? { stream: this.stream, resume: at } : { stream: this.stream }
  }

  receive(frame: StreamFrame, epoch: string): Outcome {
    const step = reduce(this.#state, frame, epoch)
    this.#state = step.state
    if (step.outcome.kind === 'applied') for (const key of step.outcome.changed) this.#dirty.add(key)
    if (step.outcome.kind === 'applied' || step.outcome.kind === 'resync') this.#touched = true
    return step.outcome
  }

  /** The sequence to acknowledge. */
  get received(): number {
    return this.#state.seq
  }

  /** Hands what changed to the page. */
  flush(): void {
    if (!this.#touched) return
    this.#touched = false
    const rows = this.#state.rows
    let keysChanged = false
    for (const key of this.#dirty) {
      const ref = this.row(key)
      const next = rows.get(key)
      if ((ref.value === undefined) !== (next === undefined)) keysChanged = true
      ref.value = next
    }
    this.#dirty.clear()
    if (keysChanged) this.keys.value = [...rows.keys()]
    this.meta.value = this.#metaOf()
  }

  /** Forgets everything, for instance at logout. */
  clear(): void {
    this.#state = emptyStream(this.stream)
    for (const ref of this.#refs.values()) ref.value = undefined
    this.#refs.clear()
    this.#dirty.clear()
    this.keys.value = []
    this.meta.value = this.#metaOf()
  }

  #metaOf(): StreamMeta {
    const { ready, stale, seq, epoch, unreadable } = this.#state
    return { ready, stale, seq, epoch, unreadable }
  }
}
