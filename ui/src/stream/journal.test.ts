import { describe, expect, test } from 'vitest'
import type { Event, LogEntry } from '../protocol/archy'
import { EventJournal } from './events'
import type { EntriesFrame } from './journal'
import { LogJournal } from './logs'

const event = (seq: number): Event => ({
  seq, at: seq * 1_000, severity: 'info', actor: 'node', kind: 'note', app: null, subject: null, op: null, message: `m${seq}`, cause: [], suppressed: 0,
})
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const events = (from: number, to: number, dropped = 0): EntriesFrame =>
  ({ t: 'entries', stream: 'events', from, seq: to, items: range(from + dropped + 1, to).map(event), dropped })
const lines = (from: number, to: number, dropped = 0): EntriesFrame => {
  const items: LogEntry[] = range(from + dropped + 1, to).map((seq) => ({ seq, stderr: null, line: `l${seq}` }))
  return { t: 'entries', stream: 'logs:demo/web', from, seq: to, items, dropped }
}

describe('the journal of events', () => {
  const seqs = (j: EventJournal) => (j.flush(), j.view.value.items.map((e) => e.seq))
  test('grows, ignores what it has, and resumes where it was over a restart of the node', () => {
    const journal = new EventJournal()
    journal.hello('E1')
    expect(journal.sub()).toEqual({ stream: 'events', tail: 200 })
    journal.receive(events(0, 3))
    journal.receive(events(2, 3))
    journal.receive(events(2, 5))
    expect(seqs(journal)).toEqual([1, 2, 3, 4, 5])
    journal.hello('E2')
    expect(journal.sub()).toEqual({ stream: 'events', resume: { epoch: 'E2', seq: 5 } })
    journal.receive(events(5, 6))
    expect(seqs(journal)).toEqual([1, 2, 3, 4, 5, 6])
  })
  test('begins anew after a gap, so that older pages fill it without holes', () => {
    const journal = new EventJournal()
    journal.receive(events(0, 3))
    journal.receive(events(3, 40, 30))
    expect(seqs(journal)).toEqual(range(34, 40))
    expect(journal.view.value.older).toBe(34)
    journal.prepend({ items: range(20, 33).reverse().map(event), next: 20 })
    expect(journal.view.value.items.map((e) => e.seq)).toEqual(range(20, 40))
    expect(journal.view.value.older).toBe(20)
  })
  test('knows its beginning, and an empty journal is one that was heard', () => {
    const journal = new EventJournal()
    journal.receive({ t: 'entries', stream: 'events', from: 0, seq: 0, items: [], dropped: 0 })
    journal.flush()
    expect(journal.view.value).toEqual({ ready: true, items: [], older: null })
    journal.receive(events(0, 2))
    journal.flush()
    expect(journal.view.value.older).toBe(null)
  })
})

describe('the log of a container', () => {
  const shown = (j: LogJournal) => (j.flush(), j.rows.map((r) => (r.kind === 'line' ? r.text : `gap ${r.lost}`)))
  test('says where lines are left out', () => {
    const journal = new LogJournal('demo', 'web')
    journal.hello()
    journal.receive(lines(0, 2))
    journal.receive(lines(2, 10, 7))
    expect(shown(journal)).toEqual(['l1', 'l2', 'gap 7', 'l10'])
  })
  test('after a lost connection counts anew, asks for no past, and marks the place', () => {
    const journal = new LogJournal('demo', 'web')
    journal.hello()
    expect(journal.sub()).toEqual({ stream: 'logs:demo/web', tail: 500 })
    journal.receive(lines(0, 1))
    journal.hello()
    expect(journal.sub()).toEqual({ stream: 'logs:demo/web', tail: 0 })
    journal.receive(lines(0, 1))
    expect(shown(journal)).toEqual(['l1', 'gap null', 'l1'])
  })
  test('keeps a bounded number of lines and counts those that it let go', () => {
    const journal = new LogJournal('demo', 'web')
    journal.hello()
    for (let i = 0; i < 20; i++) {
      journal.receive(lines(i * 1_000, (i + 1) * 1_000))
      journal.flush()
      expect(journal.rows.length).toBeLessThanOrEqual(12_000)
    }
    expect(journal.rows.length + journal.trimmed).toBe(20_000)
    expect(journal.rows.at(-1)).toMatchObject({ text: 'l20000' })
  })
})
