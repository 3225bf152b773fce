// The pure core of archy.v1: one stream's rows and cursor, and what a frame makes of them.
//
//   seq <= have         a duplicate: ignored
//   from <= have < seq  applied; rows are whole, so applying one twice does no harm
//   from > have         a gap: never applied, the stream is asked for anew
import type { ServerMsg, StreamId } from '../protocol/archy'
import { keyOf, type RowOf } from './rows'

export type StreamFrame = Extract<ServerMsg, { t: 'snapshot' | 'delta' }>

export interface StreamState<S extends StreamId> {
  readonly stream: S
  /** Epoch under which `seq` was received. */
  readonly epoch: string | null
  readonly seq: number
  readonly rows: ReadonlyMap<string, RowOf<S>>
  /** A snapshot was received at least once. */
  readonly ready: boolean
  /** The rows are from before a restart of the node or a gap, until the next snapshot is in. */
  readonly stale: boolean
  /** A snapshot without resume was asked for; deltas on the way to us are of no use. */
  readonly resyncing: boolean
  readonly parts: { readonly seq: number; readonly next: number; readonly rows: ReadonlyMap<string, RowOf<S>> } | null
  /** Rows that this version could not read. */
  readonly unreadable: number
}

export type Outcome =
  | { readonly kind: 'applied'; readonly changed: ReadonlySet<string> }
  | { readonly kind: 'partial' | 'duplicate' | 'ignored' | 'resync' }

export interface Step<S extends StreamId> {
  readonly state: StreamState<S>
  readonly outcome: Outcome
}

export function emptyStream<S extends StreamId>(stream: S): StreamState<S> {
  return {
    stream, epoch: null, seq: -1, rows: new Map(), ready: false, stale: false, resyncing: false, parts: null, unreadable: 0,
  }
}

/** A new connection said `hello`: half a snapshot is void, and rows of another epoch are last-known. */
export function connected<S extends StreamId>(state: StreamState<S>, epoch: string): StreamState<S> {
  const stale = state.stale || (state.ready && state.epoch !== epoch)
  return { ...state, stale, resyncing: false, parts: null }
}

/** Where to go on, if anywhere. */
export function resumeOf<S extends StreamId>(state: StreamState<S>): { epoch: string; seq: number } | null {
  if (!state.ready || state.epoch === null || state.seq < 0) return null
  return { epoch: state.epoch, seq: state.seq }
}

export function reduce<S extends StreamId>(state: StreamState<S>, frame: StreamFrame, epoch: string): Step<S> {
  return frame.t === 'snapshot' ? snapshot(state, frame, epoch) : delta(state, frame, epoch)
}

function resync<S extends StreamId>(state: StreamState<S>): Step<S> {
  return {
    state: { ...state, seq: -1, stale: state.ready, resyncing: true, parts: null },
    outcome: { kind: 'resync' },
  }
}

function snapshot<S extends StreamId>(
  state: StreamState<S>, frame: Extract<StreamFrame, { t: 'snapshot' }>, epoch: string,
): Step<S> {
  const open = frame.part === 0 ? { seq: frame.seq, next: 0, rows: new Map<string, RowOf<S>>() } : state.parts
  if (!open || open.next !== frame.part || open.seq !== frame.seq) {
    return state.resyncing ? { state, outcome: { kind: 'ignored' } } : resync(state)
  }
  const rows = new Map(open.rows)
  let unreadable = state.unreadable
  for (const item of frame.items) {
    const key = keyOf(state.stream, item)
    if (key === null) unreadable++
    else rows.set(key, item as RowOf<S>)
  }
  if (!frame.last) {
    return {
      state: { ...state, unreadable, parts: { seq: open.seq, next: open.next + 1, rows } },
      outcome: { kind: 'partial' },
    }
  }
  // Replaces everything at once: a key that is not in it is gone, which is what kills ghosts.
  return {
    state: {
      ...state, epoch, seq: frame.seq, rows, ready: true, stale: false, resyncing: false, parts: null, unreadable,
    },
    outcome: { kind: 'applied', changed: new Set([...state.rows.keys(), ...rows.keys()]) },
  }
}

function delta<S extends StreamId>(
  state: StreamState<S>, frame: Extract<StreamFrame, { t: 'delta' }>, epoch: string,
): Step<S> {
  if (state.resyncing) return { state, outcome: { kind: 'ignored' } }
  if (state.parts || !state.ready || state.epoch !== epoch || frame.from > state.seq) return resync(state)
  if (frame.seq <= state.seq) return { state, outcome: { kind: 'duplicate' } }
  const rows = new Map(state.rows)
  const changed = new Set<string>()
  let unreadable = state.unreadable
  for (const op of frame.ops) {
    if (op.op === 'del') {
      rows.delete(op.key)
      changed.add(op.key)
      continue
    }
    const key = op.op === 'put' ? keyOf(state.stream, op.v) : null
    if (key === null) {
      unreadable++
      continue
    }
    rows.set(key, (op as { v: unknown }).v as RowOf<S>)
    changed.add(key)
  }
  return { state: { ...state, seq: frame.seq, rows, unreadable }, outcome: { kind: 'applied', changed } }
}
