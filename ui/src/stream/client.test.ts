import { describe, expect, test } from 'vitest'
import type { ClientMsg, NodeView, ServerMsg } from '../protocol/archy'
import { NodeClient } from './client'
import type { SocketLike, Verdict } from './connection'
import { EventJournal } from './events'
import { LogJournal } from './logs'

class FakeSocket implements SocketLike {
  readyState = 1
  onmessage: SocketLike['onmessage'] = null
  onclose: SocketLike['onclose'] = null
  sent: ClientMsg[] = []
  closedWith: number | undefined
  send(data: string) {
    this.sent.push(JSON.parse(data) as ClientMsg)
  }
  close(code?: number) {
    this.readyState = 3
    this.closedWith = code
  }
  gets(msg: ServerMsg) {
    this.onmessage?.({ data: JSON.stringify(msg) })
  }
  dies(code = 1006) {
    this.readyState = 3
    this.onclose?.({ code })
  }
}

function bench() {
  const sockets: FakeSocket[] = []
  const timers: { at: number; run: () => void }[] = []
  const world = { now: 0, mayTry: true, verdict: 'ok' as Verdict, verified: 0 }
  let flush = () => {}
  let painted = () => {}
  const client = new NodeClient(
    {
      open: () => {
        const socket = new FakeSocket()
        sockets.push(socket)
        return socket
      },
      now: () => world.now,
      random: () => 1,
      setTimer: (run, ms) => {
        const timer = { at: world.now + ms, run }
        timers.push(timer)
        return timer
      },
      clearTimer: (id) => {
        const i = timers.indexOf(id as never)
        if (i >= 0) timers.splice(i, 1)
      },
      mayTry: () => world.mayTry,
      verify: () => {
        world.verified++
        return Promise.resolve(world.verdict)
      },
    },
    (f, p) => {
      flush = f
      painted = p
      return { request() {}, dispose() {} }
    },
  )
  return {
    client, sockets, timers, world,
    socket: () => sockets.at(-1) as FakeSocket,
    frame() {
      flush()
      painted()
    },
    advance(ms: number) {
      const end = world.now + ms
      for (;;) {
        const due = timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0]
        if (!due) break
        timers.splice(timers.indexOf(due), 1)
        world.now = due.at
        due.run()
      }
      world.now = end
    },
    settle: () => new Promise<void>((resolve) => setImmediate(resolve)),
  }
}

const hello = (epoch = 'E1'): ServerMsg => ({ t: 'hello', proto: 1, server: 'test', epoch, now_ms: 1_000, ping_ms: 15_000, session_expires_ms: null, features: [] })
const row = (key: string): NodeView => ({ key, ok: true, detail: '', last_ok: null })
const snap = (seq: number, ...keys: string[]): ServerMsg =>
  ({ t: 'snapshot', stream: 'node', seq, reason: 'initial', part: 0, last: true, items: keys.map(row) })
const delta = (from: number, seq: number, key: string): ServerMsg =>
  ({ t: 'delta', stream: 'node', from, seq, ops: [{ op: 'put', v: row(key) }] })
const mark = (): ServerMsg => ({ t: 'mark', streams: {}, now_ms: 1_000 })

function live() {
  const b = bench()
  b.client.want('node')
  b.client.start()
  b.socket().gets(hello())
  b.socket().gets(snap(4, 'engine'))
  b.frame()
  return b
}

describe('client', () => {
  test('subscribes after hello, shows a row per frame and acknowledges after paint', () => {
    const b = bench()
    b.client.want('node')
    b.client.start()
    expect(b.socket().sent).toEqual([])
    b.socket().gets(hello())
    expect(b.socket().sent).toEqual([{ t: 'sub', ref: 1, streams: [{ stream: 'node' }] }])
    b.socket().gets(snap(4, 'engine'))
    expect(b.client.streams.node.keys.value).toEqual([])
    expect(b.socket().sent).toHaveLength(1)
    b.frame()
    expect(b.client.streams.node.keys.value).toEqual(['engine'])
    expect(b.socket().sent[1]).toEqual({ t: 'ack', stream: 'node', seq: 4 })
    expect(b.client.clockSkew.value).toBe(1_000)
  })
  test('acknowledges once for all that was painted together', () => {
    const b = live()
    b.socket().gets(delta(4, 5, 'store'))
    b.socket().gets(delta(5, 6, 'disk'))
    b.frame()
    expect(b.socket().sent.filter((m) => m.t === 'ack').map((m) => m.t === 'ack' && m.seq)).toEqual([4, 6])
  })
  test('answers a gap by subscribing without resume', () => {
    const b = live()
    b.socket().gets(delta(9, 10, 'store'))
    b.socket().gets(delta(10, 11, 'disk'))
    expect(b.socket().sent.filter((m) => m.t === 'sub')).toEqual([
      { t: 'sub', ref: 1, streams: [{ stream: 'node' }] },
      { t: 'sub', ref: 2, streams: [{ stream: 'node' }] },
    ])
    b.frame()
    expect(b.client.streams.node.keys.value).toEqual(['engine'])
    expect(b.client.streams.node.meta.value.stale).toBe(true)
  })
  test('resumes where it was after a reconnect, and keeps its rows', async () => {
    const b = live()
    b.socket().dies()
    expect(b.client.link.value.state).toBe('reconnecting')
    expect(b.client.streams.node.keys.value).toEqual(['engine'])
    b.advance(250)
    expect(b.sockets).toHaveLength(2)
    b.socket().gets(hello())
    expect(b.socket().sent[0]).toEqual({ t: 'sub', ref: 2, streams: [{ stream: 'node', resume: { epoch: 'E1', seq: 4 } }] })
    b.frame()
    expect(b.client.streams.node.meta.value.stale).toBe(false)
  })
  test('shows the rows of an earlier epoch as stale until the snapshot is in', () => {
    const b = live()
    b.socket().dies()
    b.advance(250)
    b.socket().gets(hello('E2'))
    b.frame()
    expect(b.client.streams.node.meta.value).toMatchObject({ stale: true, ready: true })
    expect(b.client.streams.node.keys.value).toEqual(['engine'])
    b.socket().gets(snap(1, 'store'))
    b.frame()
    expect(b.client.streams.node.keys.value).toEqual(['store'])
    expect(b.client.streams.node.meta.value.stale).toBe(false)
  })
  test('a stream is subscribed while somebody wants it', () => {
    const b = live()
    const first = b.client.want('tree')
    const second = b.client.want('tree')
    first()
    first()
    expect(b.socket().sent.at(-1)?.t).toBe('sub')
    second()
    expect(b.socket().sent.at(-1)).toEqual({ t: 'unsub', streams: ['tree'] })
  })
  test('a frame of a newer node is counted', () => {
    const b = live()
    b.socket().gets({ t: 'novelty' } as unknown as ServerMsg)
    expect(b.client.unknown.value).toBe(1)
  })
})

describe('connection', () => {
  test('backs off until a connection has carried state', async () => {
    const b = bench()
    b.client.want('node')
    b.client.start()
    const waits: number[] = []
    for (let i = 0; i < 7; i++) {
      b.socket().dies()
      await b.settle()
      waits.push((b.timers[0]?.at ?? 0) - b.world.now)
      b.advance(waits.at(-1) ?? 0)
    }
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000])
    b.socket().gets(hello())
    b.socket().gets(snap(1, 'engine'))
    b.socket().dies()
    expect((b.timers[0]?.at ?? 0) - b.world.now).toBe(250)
  })
  test('a refused upgrade is looked into over HTTP, once per attempt', async () => {
    const b = bench()
    b.world.verdict = 'unauthenticated'
    b.client.start()
    b.socket().dies()
    await b.settle()
    expect(b.world.verified).toBe(1)
    expect(b.client.link.value.state).toBe('unauthenticated')
    expect(b.timers).toHaveLength(0)
  })
  test('stops on 4401', () => {
    const b = live()
    b.socket().dies(4401)
    expect(b.client.link.value.state).toBe('unauthenticated')
    expect(b.timers).toHaveLength(0)
  })
  test('stops on a protocol that it does not speak', () => {
    const b = bench()
    b.client.start()
    b.socket().gets({ ...hello(), proto: 2 } as ServerMsg)
    expect(b.client.link.value.state).toBe('incompatible')
    expect(b.timers).toHaveLength(0)
  })
  test('pings, becomes stale after 30 s of silence, reconnects at 45 s', () => {
    const b = live()
    b.advance(15_000)
    expect(b.socket().sent.at(-1)).toEqual({ t: 'ping', id: 1 })
    b.advance(14_999)
    expect(b.client.link.value.state).toBe('live')
    b.advance(1)
    expect(b.client.link.value.state).toBe('stale')
    b.advance(15_000)
    expect(b.client.link.value.state).toBe('reconnecting')
    expect(b.sockets[0]?.closedWith).toBe(4408)
    b.advance(250)
    expect(b.sockets).toHaveLength(2)
  })
  test('any frame of the node resets the silence', () => {
    const b = live()
    b.advance(29_000)
    b.socket().gets(mark())
    b.advance(29_000)
    expect(b.client.link.value.state).toBe('live')
  })
  test('does not try while hidden, and at once when woken', async () => {
    const b = live()
    b.world.mayTry = false
    b.socket().dies()
    b.advance(60_000)
    expect(b.sockets).toHaveLength(1)
    b.world.mayTry = true
    b.client.wake()
    expect(b.sockets).toHaveLength(2)
  })
  test('waking a living connection asks for a sign of life', () => {
    const b = live()
    b.client.wake()
    expect(b.socket().sent.at(-1)).toEqual({ t: 'ping', id: 1 })
  })
  test('waking after a long sleep does not trust the old socket', () => {
    const b = live()
    b.world.now += 3_600_000
    b.client.wake()
    expect(b.client.link.value.state).toBe('reconnecting')
  })
})

describe('journals', () => {
  const lines = (from: number, seq: number): ServerMsg =>
    ({ t: 'entries', stream: 'logs:demo/web', from, seq, items: [{ seq, stderr: null, line: `l${seq}` }], dropped: 0 })
  test('are followed, acknowledged after paint and let go', () => {
    const b = live()
    const journal = new LogJournal('demo', 'web')
    const stop = b.client.follow(journal)
    expect(b.socket().sent.at(-1)).toEqual({ t: 'sub', ref: 2, streams: [{ stream: 'logs:demo/web', tail: 500 }] })
    b.socket().gets(lines(0, 1))
    expect(journal.version.value).toBe(0)
    b.frame()
    expect(journal.version.value).toBe(1)
    expect(b.socket().sent.at(-1)).toEqual({ t: 'ack', stream: 'logs:demo/web', seq: 1 })
    stop()
    stop()
    expect(b.socket().sent.filter((m) => m.t === 'unsub')).toEqual([{ t: 'unsub', streams: ['logs:demo/web'] }])
    b.socket().gets(lines(1, 2))
    expect(journal.rows).toHaveLength(1)
  })
  test('come back by themselves after a lost connection, the events from where they were', async () => {
    const b = live()
    const events = new EventJournal()
    b.client.follow(events)
    b.socket().gets({ t: 'entries', stream: 'events', from: 7, seq: 9, items: [], dropped: 0 })
    b.frame()
    b.socket().dies()
    b.advance(1_000)
    await b.settle()
    b.socket().gets(hello('E2'))
    const sub = b.socket().sent.find((m) => m.t === 'sub')
    expect(sub?.t === 'sub' && sub.streams).toContainEqual({ stream: 'events', resume: { epoch: 'E2', seq: 9 } })
  })
  test('a hidden page asks for less, and does so again after a reconnect', async () => {
    const b = bench()
    const greeting = { ...hello(), features: ['tune'] } as ServerMsg
    b.client.want('node')
    b.client.start()
    b.socket().gets(greeting)
    b.client.tune(1_000)
    const tune = { t: 'tune', stream: 'node', min_interval_ms: 1_000 }
    expect(b.socket().sent.at(-1)).toEqual(tune)
    b.socket().dies()
    b.advance(1_000)
    await b.settle()
    b.socket().gets(greeting)
    expect(b.socket().sent.at(-1)).toEqual(tune)
  })
  test('a node that cannot is not asked to', () => {
    const b = live()
    b.client.tune(1_000)
    expect(b.socket().sent.some((m) => m.t === 'tune')).toBe(false)
  })
})
