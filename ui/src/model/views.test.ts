import { webLink } from './facts'
import { describe, expect, test } from 'vitest'
import type { Event, GateView, TreeView } from '../protocol/archy'
import { browserOf } from './agent'
import { levelOf, plain, spans } from './ansi'
import { sized } from './bytes'
import { dayOf, group, passes, timesOf } from './events'
import { byWaiters, gatesOf, shareOf } from './gate'
import { problemOf } from './password'
import { path, remember } from './samples'
import { best, score } from './search'
import { ancestors, withAncestors } from './tree'
import { slice } from './window'

const event = (seq: number, over: Partial<Event> = {}): Event => ({
  seq, at: seq * 10_000, severity: 'info', actor: 'node', kind: 'note', app: null, subject: null, op: null, message: `m${seq}`, cause: [], suppressed: 0, ...over,
})

describe('events', () => {
  const crash = (seq: number, over = {}) => event(seq, { kind: 'child_restarted', app: 'chat', subject: 'node/x', severity: 'warning', ...over })
  test('like ones in a row are one entry, newest first, as bad as the worst', () => {
    const groups = group([event(1), crash(2), crash(3, { severity: 'error' }), crash(4, { suppressed: 5 }), event(5)])
    expect(groups.map((g) => g.events.map((e) => e.seq))).toEqual([[5], [4, 3, 2], [1]])
    expect(groups[1]?.severity).toBe('error')
    expect(groups.map(timesOf)).toEqual([1, 8, 1])
  })
  test('what is far apart in time or about something else is not one entry', () => {
    expect(group([crash(1), crash(2, { app: 'demo' }), crash(100)])).toHaveLength(3)
  })
  test('filters take the severity and what is worse, and search causes too', () => {
    const none = { app: '', severity: '', actor: '', text: '' }
    const e = crash(1, { cause: ['out of memory'] })
    expect(passes(e, { ...none, severity: 'warning' })).toBe(true)
    expect(passes(e, { ...none, severity: 'error' })).toBe(false)
    expect(passes(e, { ...none, app: 'demo' })).toBe(false)
    expect(passes(e, { ...none, actor: 'user' })).toBe(false)
    expect(passes(e, { ...none, text: 'MEMORY' })).toBe(true)
  })
  test('days are the reader’s', () => {
    expect(dayOf(new Date(2026, 10, 21, 0, 0, 1).getTime())).toBe('2026-11-21')
  })
})

describe('gates', () => {
  const gate = (over: Partial<GateView> = {}): GateView => ({
    id: 'a/b', app: 'a', title: 'B', kind: 'tcp', state: 'progressing', progress: null, current: null, target: null, unit: null, rate: null, eta_s: null,
    eta_max_s: null, detail: null, waiters: [], may_skip: false, since: 0, observed_at: 0, last_ok: null, ...over,
  })
  test('are full only when they are open', () => {
    expect(shareOf(gate({ progress: 1 }))).toBeLessThan(1)
    expect(shareOf(gate({ state: 'open', progress: 0.5 }))).toBe(1)
  })
  test('are determinate only where the total is known', () => {
    expect(shareOf(gate({ current: 5 }))).toBe(null)
    expect(shareOf(gate({ current: 5, target: 10 }))).toBe(0.5)
    expect(shareOf(gate({ current: 5, target: 0 }))).toBe(null)
  })
  test('are found by what an app waits for; closed ones come first', () => {
    const b = gate()
    const other = { app: null, state: null, detail: null, may_skip: false }
    expect(gatesOf([{ on: 'a/b', condition: 'gate_open', progress: null, ...other }, { on: 'cache', condition: 'x', progress: null, ...other }], (id) => (id === 'a/b' ? b : undefined))).toEqual([b])
    expect([gate({ id: 'o', state: 'open' }), gate({ id: 'c' }), gate({ id: 'w', waiters: ['x'] })].sort(byWaiters).map((g) => g.id)).toEqual(['w', 'c', 'o'])
  })
})

describe('log lines', () => {
  test('colours become spans, everything else of a terminal goes', () => {
    expect(spans('\x1b[1;31mbad\x1b[0m \x1b[2Kok\x1b]0;title\x07!')).toEqual([
      { text: 'bad', colour: 1, bold: true, dim: false },
      { text: ' ', colour: null, bold: false, dim: false },
      { text: 'ok', colour: null, bold: false, dim: false },
      { text: '!', colour: null, bold: false, dim: false },
    ])
    expect(plain('\x1b[38;5;200mpink\x1b[48;2;1;2;3m on\x1b[m\r\x00')).toBe('pink on')
    expect(plain('<b>\ttab</b>')).toBe('<b>\ttab</b>')
  })
  test('an exact colour does not read as one of the eight', () => {
    expect(spans('\x1b[38;5;31mx')[0]?.colour).toBe(null)
  })
  test('levels are what the line says', () => {
    expect(['2026 ERROR x', 'level=warn msg', '[info] y', 'trace z', 'hello', 'no errors here'].map(levelOf)).toEqual(['error', 'warn', 'info', 'debug', null, null])
  })
  test('only what is on the screen and some around is drawn', () => {
    expect(slice(10_000, 20, 100_000, 400, 10)).toEqual({ from: 4_990, to: 5_030, before: 99_800, after: 99_400 })
    expect(slice(3, 20, 0, 400, 10)).toEqual({ from: 0, to: 3, before: 0, after: 0 })
    expect(slice(5, 20, 9_999, 400, 1)).toEqual({ from: 5, to: 5, before: 100, after: 0 })
  })
})

describe('search', () => {
  test('whole names beat beginnings beat letters', () => {
    expect(best(['Open: Demo', 'Demo', 'Demonstration', 'Node'], 'demo', (x) => x, 9)).toEqual(['Demo', 'Demonstration', 'Open: Demo'])
    expect(score('My Apps', 'zz')).toBe(0)
    expect(best(['b', 'a'], '', (x) => x, 9)).toEqual(['b', 'a'])
  })
})

describe('the tree', () => {
  const row = (p: string, over: Partial<TreeView> = {}): TreeView => ({
    path: p, parent: p.includes('/') ? p.slice(0, p.lastIndexOf('/')) : null, order: 0, kind: 'worker', strategy: null, restart: 'permanent', intensity: null,
    state: 'running', generation: 1, restarts: 0, last_exit: null, last_exit_at: null, cause: null, ...over,
  })
  const rows = ['node', 'node/a', 'node/a/x', 'node/b'].map((p) => row(p))
  test('a failure goes up from supervisor to supervisor', () => {
    const find = (p: string) => rows.find((r) => r.path === p)
    expect(ancestors(rows[2] as TreeView, find).map((r) => r.path)).toEqual(['node/a', 'node'])
  })
  test('what passes a filter keeps its place', () => {
    expect(withAncestors(rows, (r) => r.path.endsWith('x')).map((r) => r.path)).toEqual(['node', 'node/a', 'node/a/x'])
  })
})

test('measurements older than the window go, and a gap breaks the line', () => {
  const at = (n: number) => ({ at: n, cpu: 0.5, memory: 1 })
  const list = [0, 1_000, 2_000, 9_000, 10_000].reduce<ReturnType<typeof at>[]>((l, n) => remember(l, at(n), 9_500), [])
  expect(list.map((s) => s.at)).toEqual([1_000, 2_000, 9_000, 10_000])
  expect(path(list, (s) => s.cpu, 10_000, 100, 10, 1)).toBe('M10.0 5.0L20.0 5.0M90.0 5.0L100.0 5.0')
  expect(remember(list, at(10_000), 9_500)).toHaveLength(4)
})
test('sizes are told in units that people know', () => {
  expect([512, 1_536, 40 * 1_048_576, 1_420 * 1_048_576].map((b) => sized(b))).toEqual([
    { n: 512, unit: 'B', digits: 0 }, { n: 1.5, unit: 'KiB', digits: 1 }, { n: 40, unit: 'MiB', digits: 1 }, { n: 1420 / 1024, unit: 'GiB', digits: 1 },
  ])
})
test('passwords are long enough and typed twice', () => {
  expect([problemOf('short', 'short'), problemOf('long enough words', 'other'), problemOf('long enough words', 'long enough words')]).toEqual(['short', 'differs', null])
})
test('browsers are called by their names', () => {
  expect(browserOf('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0')).toBe('Firefox, Linux')
  expect(browserOf('Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1')).toBe('Safari, iPhone')
  expect(browserOf('archy 0.1.0')).toBe('archy 0.1.0')
  expect(browserOf('')).toBe(null)
})

test('links of a manifest are web addresses or none', () => {
  expect(['https://example.org/x', 'http://a', 'javascript:alert(1)', 'https://a b', 'data:text/html,x', null].map(webLink)).toEqual([
    'https://example.org/x', 'http://a', null, null, null, null,
  ])
})
