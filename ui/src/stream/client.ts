// The node as the page sees it: streams of rows, and journals, over one connection.
import { shallowRef, type ShallowRef } from 'vue'
import type { ServerMsg, StreamId, StreamName, SubStream } from '../protocol/archy'
import { Connection, type Deps, type LinkStatus } from './connection'
import type { EntriesFrame } from './journal'
import type { Painter } from './paint'
import { StreamStore } from './store'

export type Stores = { readonly [S in StreamId]: StreamStore<S> }

/** Whatever keeps the entries of one journal. */
export interface Journal {
  hello(epoch: string): void
  sub(): SubStream
  receive(frame: EntriesFrame): void
  flush(): void
  readonly received: number
}

export interface Greeting {
  readonly server: string
  readonly epoch: string
  readonly features: ReadonlySet<string>
}

const NO_GREETING: Greeting = { server: '', epoch: '', features: new Set() }

export class NodeClient {
  readonly streams: Stores = {
    apps: new StreamStore('apps'),
    ops: new StreamStore('ops'),
    tree: new StreamStore('tree'),
    gates: new StreamStore('gates'),
    node: new StreamStore('node'),
    metrics: new StreamStore('metrics'),
  }
  readonly link: ShallowRef<LinkStatus> = shallowRef({ state: 'idle', heardAt: null })
  /** What the node said of itself; empty before it was heard. */
  readonly greeting: ShallowRef<Greeting> = shallowRef(NO_GREETING)
  /** The node's clock minus this machine's. */
  readonly clockSkew: ShallowRef<number> = shallowRef(0)
  /** Frames and rows that are from a newer node than this page. */
  readonly unknown: ShallowRef<number> = shallowRef(0)
  #connection: Connection
  #painter: Painter
  #now: () => number
  #epoch = ''
  #ref = 0
  #interval = 0
  #wanted = new Map<StreamId, number>()
  #journals = new Map<StreamName, Journal>()
  #unacked = new Set<StreamName>()
  #painted = new Map<StreamName, number>()

  constructor(deps: Deps, painter: (flush: () => void, painted: () => void) => Painter) {
    this.#now = deps.now
    this.#connection = new Connection(deps, {
      hello: (greeting, nodeNow) => this.#hello(greeting, nodeNow),
      frame: (msg) => this.#frame(msg),
      status: (status) => {
        this.link.value = status
      },
    })
    this.#painter = painter(() => this.#flush(), () => this.#ack())
  }

  start(): void {
    this.#connection.start()
  }

  stop(): void {
    this.#connection.stop()
  }

  wake(): void {
    this.#connection.wake()
  }

  /** Forgets all rows. */
  clear(): void {
    for (const store of Object.values(this.streams)) store.clear()
    this.#unacked.clear()
  }

  /** Subscribes while anybody wants it; the returned function takes the wish back. */
  want(stream: StreamId): () => void {
    const count = this.#wanted.get(stream) ?? 0
    this.#wanted.set(stream, count + 1)
    if (count === 0) this.#subscribe([this.streams[stream].sub(true)])
    return once(() => {
      const left = (this.#wanted.get(stream) ?? 1) - 1
      if (left > 0) this.#wanted.set(stream, left)
      else {
        this.#wanted.delete(stream)
        this.#connection.send({ t: 'unsub', streams: [stream] })
      }
    })
  }

  /** Follows a journal until the returned function is called. */
  follow(journal: Journal): () => void {
    const sub = journal.sub()
    this.#journals.set(sub.stream, journal)
    if (this.#connection.greeted) {
      journal.hello(this.#epoch)
      this.#subscribe([journal.sub()])
    }
    return once(() => {
      if (this.#journals.get(sub.stream) !== journal) return
      this.#journals.delete(sub.stream)
      this.#connection.send({ t: 'unsub', streams: [sub.stream] })
    })
  }

  /** How often the page can use news at most: a hidden page needs them less often. */
  tune(intervalMs: number): void {
    this.#interval = intervalMs
    if (!this.greeting.value.features.has('tune')) return
    for (const stream of [...this.#wanted.keys(), ...this.#journals.keys()]) {
      this.#connection.send({ t: 'tune', stream, min_interval_ms: intervalMs })
    }
  }

  #hello(greeting: Greeting, nodeNow: number): void {
    this.#epoch = greeting.epoch
    this.greeting.value = greeting
    this.clockSkew.value = nodeNow - this.#now()
    this.#unacked.clear()
    this.#painted.clear()
    for (const store of Object.values(this.streams)) store.hello(greeting.epoch)
    for (const journal of this.#journals.values()) journal.hello(greeting.epoch)
    this.#painter.request()
    const rows = [...this.#wanted.keys()].map((stream) => this.streams[stream].sub(true))
    this.#subscribe([...rows, ...[...this.#journals.values()].map((journal) => journal.sub())])
    if (this.#interval > 0) this.tune(this.#interval)
  }

  #subscribe(streams: SubStream[]): void {
    if (streams.length === 0 || !this.#connection.greeted) return // hello subscribes to what is wanted then
    this.#connection.send({ t: 'sub', ref: ++this.#ref, streams })
  }

  #frame(msg: ServerMsg): void {
    switch (msg.t) {
      case 'snapshot':
      case 'delta': {
        const store = this.streams[msg.stream]
        if (!store) {
          this.unknown.value++
          return
        }
        const outcome = store.receive(msg, this.#epoch)
        if (outcome.kind === 'resync') this.#subscribe([store.sub(false)])
        if (outcome.kind === 'applied' || outcome.kind === 'duplicate') {
          this.#connection.proven()
          this.#unacked.add(msg.stream)
        }
        this.#painter.request()
        return
      }
      case 'entries': {
        const journal = this.#journals.get(msg.stream)
        if (!journal) return // on its way when the page had left already
        journal.receive(msg)
        this.#connection.proven()
        this.#unacked.add(msg.stream)
        this.#painter.request()
        return
      }
      case 'mark':
        this.#connection.proven()
        this.clockSkew.value = msg.now_ms - this.#now()
        return
      case 'pong':
        this.clockSkew.value = msg.now_ms - this.#now()
        return
      case 'error':
        console.warn('the node refused a frame:', msg.code, msg.message)
        return
      case 'bye':
      case 'hello':
        return
      default:
        this.unknown.value++
    }
  }

  #received(stream: StreamName): number {
    const journal = this.#journals.get(stream)
    if (journal) return journal.received
    return stream in this.streams ? this.streams[stream as StreamId].received : -1
  }

  #flush(): void {
    for (const store of Object.values(this.streams)) store.flush()
    for (const journal of this.#journals.values()) journal.flush()
    for (const stream of this.#unacked) this.#painted.set(stream, this.#received(stream))
    this.#unacked.clear()
  }

  #ack(): void {
    for (const [stream, seq] of this.#painted) {
      const wanted = this.#wanted.has(stream as StreamId) || this.#journals.has(stream)
      if (seq >= 0 && wanted) this.#connection.send({ t: 'ack', stream, seq })
    }
    this.#painted.clear()
  }
}

function once(run: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    run()
  }
}
