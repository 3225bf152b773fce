// One WebSocket to the node: opens it, keeps it alive, doubts it, opens it again.
// It knows frames only as far as the connection itself needs them.
import type { ClientMsg, ServerMsg } from '../protocol/archy'
import { backoff, beat } from './timing'

export const SUBPROTOCOL = 'archy.v1.json'
export const PROTO = 1
const UNAUTHENTICATED = 4401
const FINAL_CODES = new Set([UNAUTHENTICATED, 4403, 4406])
const OPEN = 1

export interface SocketLike {
  readonly readyState: number
  send(data: string): void
  close(code?: number): void
  onmessage: ((ev: { readonly data: unknown }) => void) | null
  onclose: ((ev: { readonly code: number }) => void) | null
}

export type Verdict = 'ok' | 'unauthenticated' | 'unreachable'

export interface Deps {
  open(): SocketLike
  now(): number
  random(): number
  setTimer(run: () => void, ms: number): unknown
  clearTimer(id: unknown): void
  /** Whether trying makes sense now: the page is visible and the browser is online. */
  mayTry(): boolean
  /** A browser is not told why an upgrade was refused: this asks over HTTP whether the session is still good. */
  verify(): Promise<Verdict>
}

export type LinkState =
  /** Not started, or stopped for good. */
  | 'idle'
  /** First attempt. */
  | 'connecting'
  | 'live'
  /** Open, but silent for too long. */
  | 'stale'
  /** Closed; trying again. */
  | 'reconnecting'
  | 'unauthenticated'
  | 'incompatible'

export interface LinkStatus {
  readonly state: LinkState
  /** When the node was last heard, on this machine's clock. */
  readonly heardAt: number | null
}

export interface Handlers {
  hello(greeting: { server: string; epoch: string; features: ReadonlySet<string> }, nodeNow: number): void
  frame(msg: ServerMsg): void
  status(status: LinkStatus): void
}

export class Connection {
  #deps: Deps
  #on: Handlers
  #socket: SocketLike | null = null
  #state: LinkState = 'idle'
  #heardAt: number | null = null
  #lastSent = 0
  #lastHeard = 0
  #pingMs = 15_000
  #pingId = 0
  #attempt = 0
  #timer: unknown = null
  #greeted = false
  /** What the node asked for with its last `bye`. */
  #notBefore = 0

  constructor(deps: Deps, handlers: Handlers) {
    this.#deps = deps
    this.#on = handlers
  }

  get greeted(): boolean {
    return this.#greeted
  }

  start(): void {
    if (this.#socket || this.#state === 'connecting' || this.#state === 'reconnecting') return
    this.#attempt = 0
    this.#become('connecting')
    this.#open()
  }

  /** Closes for good; `start` begins anew. */
  stop(state: LinkState = 'idle'): void {
    this.#cancel()
    this.#drop(1000)
    this.#become(state)
  }

  /** Something happened that makes it likely that the network is back, or that it went away unnoticed. */
  wake(): void {
    if (this.#socket) {
      if (this.#greeted) this.#beat(true)
    } else if (this.#state === 'reconnecting') {
      this.#cancel()
      this.#attempt = 0
      this.#open()
    }
  }

  send(msg: ClientMsg): boolean {
    if (!this.#greeted || this.#socket?.readyState !== OPEN) return false
    this.#socket.send(JSON.stringify(msg))
    this.#lastSent = this.#deps.now()
    return true
  }

  /** The connection has carried state: the next loss starts with the short delay again. */
  proven(): void {
    this.#attempt = 0
  }

  #open(): void {
    this.#cancel()
    if (!this.#deps.mayTry() && this.#state === 'reconnecting') return // wake() goes on
    const socket = this.#deps.open()
    this.#socket = socket
    this.#greeted = false
    this.#lastHeard = this.#lastSent = this.#deps.now()
    socket.onmessage = (ev) => {
      if (socket === this.#socket) this.#message(ev.data)
    }
    socket.onclose = (ev) => {
      if (socket === this.#socket) this.#closed(ev.code)
    }
    this.#arm()
  }

  #message(data: unknown): void {
    this.#lastHeard = this.#heardAt = this.#deps.now()
    let msg: ServerMsg
    try {
      msg = JSON.parse(String(data)) as ServerMsg
    } catch {
      return
    }
    if (msg.t === 'hello') {
      if (msg.proto !== PROTO) return this.stop('incompatible')
      this.#greeted = true
      this.#pingMs = msg.ping_ms > 0 ? msg.ping_ms : 15_000
      // A node of an earlier version names no features.
      this.#on.hello({ server: msg.server, epoch: msg.epoch, features: new Set(msg.features ?? []) }, msg.now_ms)
      this.#become('live')
      this.#arm()
      return
    }
    if (msg.t === 'bye' && msg.code === UNAUTHENTICATED) return this.stop('unauthenticated')
    if (msg.t === 'bye') this.#notBefore = msg.retry_after_ms ?? 0
    if (!this.#greeted) return
    this.#on.frame(msg)
    this.#become('live')
  }

  #closed(code: number): void {
    const greeted = this.#greeted
    this.#cancel()
    this.#socket = null
    this.#greeted = false
    if (FINAL_CODES.has(code)) return this.#become(code === UNAUTHENTICATED ? 'unauthenticated' : 'incompatible')
    this.#become('reconnecting')
    if (greeted) return this.#retryLater()
    void this.#deps.verify().then((verdict) => {
      if (this.#state !== 'reconnecting' || this.#socket) return
      if (verdict === 'unauthenticated') this.#become('unauthenticated')
      else this.#retryLater()
    })
  }

  #retryLater(): void {
    this.#cancel()
    const wait = Math.max(this.#notBefore, backoff(this.#attempt++, this.#deps.random()))
    this.#notBefore = 0
    this.#timer = this.#deps.setTimer(() => this.#open(), wait)
  }

  #beat(forcePing = false): void {
    const now = this.#deps.now()
    const next = beat(now, this.#lastSent, this.#lastHeard, this.#pingMs)
    if (next.state === 'dead') {
      this.#drop(4408)
      this.#closed(4408)
      return
    }
    if (this.#greeted && (next.ping || forcePing)) this.send({ t: 'ping', id: ++this.#pingId })
    if (this.#greeted) this.#become(next.state)
    this.#cancel()
    this.#timer = this.#deps.setTimer(() => this.#beat(), next.wakeIn)
  }

  #arm(): void {
    this.#cancel()
    const next = beat(this.#deps.now(), this.#lastSent, this.#lastHeard, this.#pingMs)
    this.#timer = this.#deps.setTimer(() => this.#beat(), next.wakeIn)
  }

  #cancel(): void {
    if (this.#timer !== null) this.#deps.clearTimer(this.#timer)
    this.#timer = null
  }

  #drop(code: number): void {
    const socket = this.#socket
    this.#socket = null
    if (!socket) return
    socket.onmessage = socket.onclose = null
    socket.close(code === 1000 || code >= 3000 ? code : 1000)
  }

  #become(state: LinkState): void {
    this.#state = state
    this.#on.status({ state, heardAt: this.#heardAt })
  }
}
