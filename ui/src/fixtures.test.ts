// The page against the golden fixtures of the protocol: what the node writes is what the page reads.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ServerMsg, StreamId } from './protocol/archy'
import { connected, emptyStream, reduce, type StreamFrame } from './stream/reducer'
import { EventJournal } from './stream/events'
import { LogJournal } from './stream/logs'
import { keyOf } from './stream/rows'

interface Fixture<T> {
  readonly name: string
  readonly value: T
}
const read = <T>(name: string) => JSON.parse(readFileSync(new URL(`../../protocol/fixtures/${name}.json`, import.meta.url), 'utf8')) as Fixture<T>[]
const server = read<ServerMsg>('server')
const rows = read<Record<string, unknown>>('rows')

const STREAM: Record<string, StreamId> = { app: 'apps', op: 'ops', tree: 'tree', gate: 'gates', node: 'node', metrics: 'metrics' }

describe('rows', () => {
  test('of every kind have a fixture', () => {
    expect([...new Set(rows.map((r) => STREAM[r.name.split(' ')[0] ?? '']))].sort()).toEqual(['apps', 'gates', 'metrics', 'node', 'ops', 'tree'])
  })
  test.each(rows)('$name goes in and comes out as it is', ({ name, value }) => {
    const stream = STREAM[name.split(' ')[0] ?? ''] as StreamId
    const key = keyOf(stream, value)
    expect(key).not.toBe(null)
    const frame = { t: 'snapshot', stream, seq: 1, reason: 'initial', part: 0, last: true, items: [value as never] } satisfies StreamFrame
    const { state } = reduce(connected(emptyStream(stream), 'E'), frame, 'E')
    expect(state.rows.get(key as string)).toEqual(value)
    expect(state.unreadable).toBe(0)
  })
})

describe('frames', () => {
  const state = { snapshot: 0, delta: 0, entries: 0 }
  test.each(server)('$name is understood', ({ value: msg }) => {
    switch (msg.t) {
      case 'snapshot': {
        const step = reduce(connected(emptyStream(msg.stream), 'E'), msg, 'E')
        expect(step.outcome.kind).toBe('applied')
        expect(step.state).toMatchObject({ seq: msg.seq, ready: true, unreadable: 0 })
        state.snapshot++
        return
      }
      case 'delta': {
        const before = { ...connected(emptyStream(msg.stream), 'E'), epoch: 'E', ready: true, seq: msg.from }
        const step = reduce(before, msg, 'E')
        expect(step.outcome.kind).toBe('applied')
        expect(step.state.seq).toBe(msg.seq)
        expect(step.state.rows.size).toBe(msg.ops.filter((op) => op.op === 'put').length)
        state.delta++
        return
      }
      case 'entries': {
        const journal = msg.stream === 'events' ? new EventJournal() : new LogJournal('demo', 'cache')
        journal.hello('E')
        journal.receive(msg)
        journal.flush()
        expect(journal.received).toBe(msg.seq)
        if (journal instanceof EventJournal) expect(journal.view.value.items).toEqual(msg.items)
        else expect(journal.rows.filter((r) => r.kind === 'line')).toHaveLength(msg.items.length)
        state.entries++
        return
      }
      default:
        expect(['hello', 'mark', 'pong', 'error', 'bye']).toContain(msg.t)
    }
  })
  test('of every kind that carries state were among them', () => {
    expect(Object.values(state).every((n) => n > 0)).toBe(true)
  })
})
