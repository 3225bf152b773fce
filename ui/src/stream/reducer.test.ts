import { describe, expect, test } from 'vitest'
import type { DeltaOp, NodeView, Row, SnapshotReason } from '../protocol/archy'
import { connected, emptyStream, reduce, resumeOf, type StreamFrame, type StreamState } from './reducer'

const row = (key: string, detail = ''): NodeView => ({ key, ok: true, detail, last_ok: null })
const snap = (seq: number, items: Row[], part = 0, last = true, reason: SnapshotReason = 'initial'): StreamFrame =>
  ({ t: 'snapshot', stream: 'node', seq, reason, part, last, items })
const put = (key: string, detail = ''): DeltaOp => ({ op: 'put', v: row(key, detail) })
const del = (key: string): DeltaOp => ({ op: 'del', key, why: 'gone' })
const delta = (from: number, seq: number, ops: DeltaOp[]): StreamFrame => ({ t: 'delta', stream: 'node', from, seq, ops })

function run(frames: StreamFrame[], epoch = 'E1', start = connected(emptyStream('node'), epoch)) {
  const outcomes: string[] = []
  let state: StreamState<'node'> = start
  for (const frame of frames) {
    const step = reduce(state, frame, epoch)
    state = step.state
    outcomes.push(step.outcome.kind)
  }
  return { state, outcomes, keys: [...state.rows.keys()] }
}

describe('snapshot', () => {
  test('replaces all rows, so that what is not in it is gone', () => {
    const { state, keys } = run([snap(4, [row('a'), row('b')]), snap(9, [row('b'), row('c')])])
    expect(keys).toEqual(['b', 'c'])
    expect(state).toMatchObject({ seq: 9, ready: true, stale: false, epoch: 'E1' })
  })
  test('in parts shows nothing before the last part', () => {
    const { state, outcomes, keys } = run([snap(1, [row('old')]), snap(7, [row('a')], 0, false), snap(7, [row('b')], 1, false)])
    expect(outcomes).toEqual(['applied', 'partial', 'partial'])
    expect(keys).toEqual(['old'])
    expect(state.seq).toBe(1)
    const done = reduce(state, snap(7, [row('c')], 2, true), 'E1')
    expect([...done.state.rows.keys()]).toEqual(['a', 'b', 'c'])
    expect(done.outcome).toEqual({ kind: 'applied', changed: new Set(['old', 'a', 'b', 'c']) })
  })
  test('with a missing part is asked for anew', () => {
    expect(run([snap(7, [row('a')], 0, false), snap(7, [row('c')], 2, true)]).outcomes).toEqual(['partial', 'resync'])
  })
  test('a part of another snapshot is never mixed in', () => {
    const { outcomes, keys } = run([snap(7, [row('a')], 0, false), snap(8, [row('b')], 1, true)])
    expect(outcomes).toEqual(['partial', 'resync'])
    expect(keys).toEqual([])
  })
  test('may be empty', () => {
    expect(run([snap(0, [])]).state).toMatchObject({ ready: true, seq: 0 })
  })
  test('a row that cannot be read is counted, and the others are kept', () => {
    const { state, keys } = run([snap(1, [row('a'), { nonsense: 1 } as unknown as Row])])
    expect(keys).toEqual(['a'])
    expect(state.unreadable).toBe(1)
  })
})

describe('delta', () => {
  test('is applied when it begins where we are', () => {
    const { state, outcomes } = run([snap(4, [row('a', 'old')]), delta(4, 6, [put('a', 'new'), put('b')])])
    expect(outcomes).toEqual(['applied', 'applied'])
    expect(state.rows.get('a')?.detail).toBe('new')
    expect(state.seq).toBe(6)
  })
  test('is applied when it overlaps what we have', () => {
    expect(run([snap(4, []), delta(2, 6, [put('b')])])).toMatchObject({ outcomes: ['applied', 'applied'], keys: ['b'] })
  })
  test('is ignored when we have it', () => {
    const { state, outcomes } = run([snap(6, [row('a', 'new')]), delta(4, 6, [put('a', 'old')])])
    expect(outcomes[1]).toBe('duplicate')
    expect(state.rows.get('a')?.detail).toBe('new')
  })
  test('after a gap is never applied, and the stream is asked for once', () => {
    const { state, outcomes, keys } = run([snap(4, [row('a')]), delta(5, 6, [put('b')]), delta(6, 7, [put('c')]), delta(4, 8, [put('d')])])
    expect(outcomes).toEqual(['applied', 'resync', 'ignored', 'ignored'])
    expect(keys).toEqual(['a'])
    expect(state).toMatchObject({ stale: true, resyncing: true })
    expect(resumeOf(state)).toBeNull()
    expect(reduce(state, snap(8, [row('d')], 0, true, 'gap'), 'E1').state).toMatchObject({ stale: false, resyncing: false, seq: 8 })
  })
  test('before any snapshot, or in the middle of one, is a gap', () => {
    expect(run([delta(0, 1, [put('a')])]).outcomes).toEqual(['resync'])
    expect(run([snap(3, [row('a')], 0, false), delta(3, 4, [put('b')])]).outcomes).toEqual(['partial', 'resync'])
  })
  test('tombstones remove, also what was put in the same delta, and a later put brings it back', () => {
    const first = run([snap(1, [row('a'), row('b')]), delta(1, 3, [del('a'), put('c'), del('c'), del('never')])])
    expect(first.keys).toEqual(['b'])
    expect(run([delta(3, 4, [put('a')])], 'E1', first.state).keys).toEqual(['b', 'a'])
  })
  test('an unknown kind of change is counted, not guessed', () => {
    const odd = { op: 'move', key: 'a' } as unknown as DeltaOp
    expect(run([snap(1, [row('a')]), delta(1, 2, [odd])]).state).toMatchObject({ seq: 2, unreadable: 1 })
  })
})

describe('epoch', () => {
  test('a restart of the node keeps the rows as last-known until the snapshot is in', () => {
    const before = run([snap(4, [row('a'), row('b')])]).state
    expect(resumeOf(before)).toEqual({ epoch: 'E1', seq: 4 })
    const greeted = connected(before, 'E2')
    expect(greeted).toMatchObject({ stale: true, ready: true })
    expect([...greeted.rows.keys()]).toEqual(['a', 'b'])
    const part = reduce(greeted, snap(2, [row('b')], 0, false, 'epoch'), 'E2')
    expect([...part.state.rows.keys()]).toEqual(['a', 'b'])
    const after = reduce(part.state, snap(2, [row('c')], 1, true, 'epoch'), 'E2').state
    expect([...after.rows.keys()]).toEqual(['b', 'c'])
    expect(after).toMatchObject({ stale: false, epoch: 'E2', seq: 2 })
  })
  test('a delta of the new epoch is not applied to rows of the old one', () => {
    const before = connected(run([snap(4, [row('a')])]).state, 'E2')
    expect(reduce(before, delta(4, 5, [put('b')]), 'E2').outcome.kind).toBe('resync')
  })
  test('a reconnect within the epoch goes on with a delta and is not stale', () => {
    const before = connected(run([snap(4, [row('a')])]).state, 'E1')
    expect(before.stale).toBe(false)
    expect(run([delta(4, 9, [put('b')])], 'E1', before)).toMatchObject({ outcomes: ['applied'], keys: ['a', 'b'] })
  })
})
