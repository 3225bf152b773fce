// A node without a node: serves the built page and scripted state over archy.v1, for development and screenshots.
//   node mock/node.mjs [--port 8420] [--scenario rich|empty|scanning|loading|many]
// Password and token are both "mock". Never part of the product.
import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WebSocketServer } from 'ws'
import { facts, ICON } from './catalog.mjs'
import * as make from './rows.mjs'

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.webmanifest': 'application/manifest+json' }
const CSP = "default-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'; frame-ancestors 'none'"
const KEY = { apps: 'id', ops: 'id', tree: 'path', gates: 'id', node: 'key', metrics: 'app' }
const FEATURES = ['events', 'logs', 'metrics', 'tune']
const dist = fileURLToPath(new URL('../dist/', import.meta.url))

// `lockstep`: an operation takes its next step only when every page that is connected has painted the one before, so that
// a test sees every state however slow the machine is.
export function startMock({ port = 0, scenario = 'rich', pace = 900, setup = false, totp = false, lockstep = false } = {}) {
  const streams = Object.fromEntries(Object.keys(KEY).map((s) => [s, { rows: new Map(), seq: 0 }]))
  const sockets = new Set()
  const timers = new Set()
  let epoch = `mock-${Date.now()}`
  let opCount = 0
  const events = []
  const running = new Map()
  const account = make.account({ setup, totp })
  const node = { events, account, event, log, put, del, later, streams, port: 0, restart, drop, refuse: null, failing: null, backups: [], stopAt: null, resume, close, script, cancel, inject }

  const later_ = (ms, run) => {
    const timer = setTimeout(() => (timers.delete(timer), run()), ms)
    timers.add(timer)
  }
  /** Steps of operations that wait for a page to paint, or for `resume`. */
  let held = []
  const behind = () => node.stopped || (lockstep && [...sockets].some((c) => c.behind('ops') || c.behind('apps')))
  function later(steps) {
    const [first, ...rest] = steps
    const run = () => {
      if (behind()) return held.push(run)
      first()
      later(rest)
    }
    if (first) later_(pace, run)
  }
  function goOn() {
    if (behind()) return
    for (const run of held.splice(0)) run()
  }
  /** Lets an operation go on that stopped at the stage `stopAt`. */
  function resume() {
    Object.assign(node, { stopAt: null, stopped: false })
    goOn()
  }
  function put(stream, row) {
    const s = streams[stream]
    s.seq++
    s.rows.set(row[KEY[stream]], { rev: s.seq, row })
    for (const c of sockets) c.push(stream)
  }
  function del(stream, key) {
    const s = streams[stream]
    s.seq++
    s.rows.set(key, { rev: s.seq, row: null })
    for (const c of sockets) c.push(stream)
  }
  function event(over) {
    const seq = (events.at(-1)?.seq ?? 0) + 1
    events.push({ ...make.event(seq), ...over })
    for (const c of sockets) c.pushEvents()
  }
  /** Lines for everybody who follows this log; `dropped` of them before these are left out. */
  function log(stream, lines, dropped = 0) {
    for (const c of sockets) c.pushLog(stream, lines, dropped)
  }
  function drop() {
    for (const c of sockets) c.ws.terminate()
  }
  /** Sends a frame as it is, for instance a wrong one. */
  function inject(msg) {
    for (const c of sockets) c.ws.send(JSON.stringify(msg))
  }
  function restart() {
    epoch = `mock-${Date.now()}-${Math.random()}`
    drop()
  }
  function get(stream, key) {
    return structuredClone(streams[stream].rows.get(key)?.row)
  }

  // An operation that goes through its stages one step at a time.
  function script(kind, app, stages, { fail, error, during, after }) {
    const op = { ...make.op(`01MOCK${String(++opCount).padStart(20, '0')}`, kind, app, stages), cancellable: kind === 'install' || kind === 'update' }
    put('ops', op)
    put('apps', { ...get('apps', app), op: op.id, phase: during, since: Date.now() })
    const at = { ops: streams.ops.seq, apps: streams.apps.seq }
    const steps = stages.flatMap(([key, total]) => {
      const begin = () => {
        node.stopped = node.stopAt === key
        change(key, { state: 'running', started_at: Date.now(), progress: total ? 0 : null })
      }
      const parts = total ? [0.37, 0.8].map((p) => () => change(key, { progress: p, detail: `${Math.round(p * total)} of ${total} MB` })) : []
      const end = () => {
        if (fail === key) return finish('failed', key)
        change(key, { state: 'done', ended_at: Date.now(), progress: total ? 1 : null })
      }
      return [begin, ...parts, end]
    })
    function change(key, over) {
      if (op.state !== 'running' && op.state !== 'queued') return
      op.state = 'running'
      Object.assign(op.stages.find((s) => s.key === key), over)
      put('ops', structuredClone(op))
    }
    function finish(state, key) {
      if (op.ended_at) return
      op.state = state
      op.cancellable = false
      op.ended_at = Date.now()
      if (key) {
        Object.assign(op.stages.find((s) => s.key === key), { state: 'failed', ended_at: Date.now() })
        op.error = error ?? make.PORT_IN_USE
      }
      put('ops', structuredClone(op))
      put('apps', { ...get('apps', app), op: null, last_op: op.id, since: Date.now(), ...after(state) })
    }
    running.set(op.id, () => finish('cancelled'))
    later([...steps, () => finish('succeeded')])
    return { op_id: op.id, at }
  }

  /** Ends an operation at once, as one that was asked to. */
  function cancel(id) {
    const op = get('ops', id)
    if (running.has(id)) running.get(id)()
    else {
      put('ops', { ...op, state: 'cancelled', cancellable: false, ended_at: Date.now() })
      put('apps', { ...get('apps', op.app), op: null, last_op: id, phase: 'not_installed' })
    }
    return { op_id: id, at: { ops: streams.ops.seq, apps: streams.apps.seq } }
  }

  make.fill(node, scenario)

  const server = createServer((req, res) => {
    const url = new URL(req.url, 'http://x')
    const json = (status, body) => {
      res.writeHead(status, { 'Content-Type': 'application/json' })
      res.end(JSON.stringify(body))
    }
    const deny = () => json(401, make.error('unauthenticated', 'log in first'))
    const inside = /(?:^|; )archy=mock(?:;|$)/.test(req.headers.cookie ?? '')
    let body = ''
    req.on('data', (chunk) => (body += chunk))
    req.on('end', () => {
      switch (`${req.method} ${url.pathname}`) {
        case 'POST /api/v1/login':
          if (!account.admits(JSON.parse(body))) return json(401, make.error('unauthenticated', 'wrong token'))
          res.writeHead(204, { 'Set-Cookie': 'archy=mock; HttpOnly; SameSite=Strict; Path=/' })
          return res.end()
        case 'POST /api/v1/logout':
          res.writeHead(204, { 'Set-Cookie': 'archy=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0' })
          res.end()
          for (const c of sockets) c.ws.close(4401)
          return
        case 'GET /api/v1/auth':
          return json(200, account.way)
        case 'GET /api/v1/events': {
          if (!inside) return deny()
          const limit = Number(url.searchParams.get('limit') ?? 100)
          const items = events.filter((e) => e.seq < Number(url.searchParams.get('before'))).slice(-limit).reverse()
          return json(200, { items, next: items.length && items.at(-1).seq > 1 ? items.at(-1).seq : null })
        }
        case 'GET /api/v1/session':
          return inside ? json(200, { ok: true }) : deny()
        case 'POST /api/v1/commands': {
          if (!inside) return deny()
          if (node.refuse) return json(node.refuse.status, node.refuse.body)
          const asked = make.asks(JSON.parse(body), req.headers['confirm-token'])
          return asked ? json(428, asked) : json(202, make.obey(node, JSON.parse(body), get))
        }
      }
      const [, id, what] = /^\/api\/v1\/apps\/([^/]+)\/(\w+)$/.exec(url.pathname) ?? []
      const row = inside && id && get('apps', id)
      if (row && what === 'manifest') return json(200, facts(row))
      if (row && what === 'backups') return json(200, node.backups.filter((x) => x.app === id))
      if (row?.icon && what === 'icon') {
        res.writeHead(200, { 'Content-Type': 'image/svg+xml', 'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'" })
        return res.end(ICON)
      }
      const answer = inside && account.answer(req.method, url.pathname.replace('/api/v1', ''), body)
      if (answer) return json(...answer)
      if (url.pathname.startsWith('/api/')) return json(404, make.error('not_found', 'no such thing'))
      const file = join(dist, normalize(url.pathname))
      const found = url.pathname !== '/' && file.startsWith(dist) && existsSync(file) ? file : join(dist, 'index.html')
      res.writeHead(200, { 'Content-Type': TYPES[extname(found)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP })
      createReadStream(found).pipe(res)
    })
  })

  const wss = new WebSocketServer({ noServer: true, handleProtocols: (set) => (set.has('archy.v1.json') ? 'archy.v1.json' : false) })
  server.on('upgrade', (req, socket, head) => {
    if (!/(?:^|; )archy=mock(?:;|$)/.test(req.headers.cookie ?? '')) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
    wss.handleUpgrade(req, socket, head, connection)
  })

  function connection(ws) {
    const cursors = new Map() // stream -> { have, waiting }
    const send = (msg) => ws.readyState === 1 && ws.send(JSON.stringify(msg))
    const journal = { have: null, waiting: false }
    const logs = new Map() // stream -> seq
    const behind = (stream) => {
      const c = cursors.get(stream)
      return c !== undefined && (c.waiting || c.have < streams[stream].seq)
    }
    const client = { ws, push, pushEvents, pushLog, behind }
    sockets.add(client)
    ws.on('close', () => (sockets.delete(client), goOn()))
    send({ t: 'hello', proto: 1, server: 'mock 0', epoch, now_ms: Date.now(), ping_ms: 15_000, session_expires_ms: null, features: FEATURES })

    function push(stream) {
      const c = cursors.get(stream)
      const s = streams[stream]
      if (!c || c.waiting || c.have >= s.seq) return
      const ops = [...s.rows].filter(([, r]) => r.rev > c.have).map(([key, r]) => (r.row ? { op: 'put', v: r.row } : { op: 'del', key, why: 'gone' }))
      send({ t: 'delta', stream, from: c.have, seq: s.seq, ops })
      Object.assign(c, { have: s.seq, waiting: true })
    }
    function pushEvents() {
      const seq = events.at(-1)?.seq ?? 0
      if (journal.have === null || journal.waiting || seq <= journal.have) return
      send({ t: 'entries', stream: 'events', from: journal.have, seq, items: events.filter((e) => e.seq > journal.have), dropped: 0 })
      Object.assign(journal, { have: seq, waiting: true })
    }
    function pushLog(stream, lines, dropped = 0) {
      const from = logs.get(stream)
      if (from === undefined) return
      const items = lines.map((line, i) => ({ seq: from + dropped + i + 1, stderr: false, line }))
      const seq = from + dropped + lines.length
      logs.set(stream, seq)
      send({ t: 'entries', stream, from, seq, items, dropped })
    }
    function journalSub(stream, resume, tail = 200) {
      if (stream === 'events') {
        const last = events.at(-1)?.seq ?? 0
        journal.have = resume ? resume.seq : Math.max(0, last - tail)
        journal.waiting = false
        if (last === journal.have) send({ t: 'entries', stream, from: last, seq: last, items: [], dropped: 0 })
        return pushEvents()
      }
      logs.set(stream, 0)
      pushLog(stream, make.logLines(stream).slice(-tail || Number.POSITIVE_INFINITY))
    }
    function snapshot(stream, reason) {
      const s = streams[stream]
      const items = [...s.rows.values()].flatMap((r) => r.row ?? [])
      const half = Math.ceil(items.length / 2)
      send({ t: 'snapshot', stream, seq: s.seq, reason, part: 0, last: false, items: items.slice(0, half) })
      send({ t: 'snapshot', stream, seq: s.seq, reason, part: 1, last: true, items: items.slice(half) })
      cursors.set(stream, { have: s.seq, waiting: true })
    }
    ws.on('message', (data) => {
      const msg = JSON.parse(data)
      if (msg.t === 'ping') send({ t: 'pong', id: msg.id, now_ms: Date.now() })
      if (msg.t === 'unsub') {
        for (const s of msg.streams) {
          cursors.delete(s)
          logs.delete(s)
          if (s === 'events') journal.have = null
        }
      }
      if (msg.t === 'ack' && msg.stream === 'events') {
        journal.waiting = false
        pushEvents()
      }
      if (msg.t === 'ack' && cursors.has(msg.stream)) {
        cursors.get(msg.stream).waiting = false
        push(msg.stream)
        goOn()
      }
      if (msg.t === 'sub') {
        for (const { stream, resume, tail } of msg.streams) {
          if (scenario === 'loading') continue
          if (!KEY[stream]) {
            journalSub(stream, resume, tail)
            continue
          }
          if (resume?.epoch === epoch) {
            cursors.set(stream, { have: resume.seq, waiting: false })
            push(stream)
          } else snapshot(stream, resume ? 'epoch' : 'initial')
        }
      }
    })
  }

  function close() {
    for (const timer of timers) clearTimeout(timer)
    drop()
    wss.close()
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => {
      node.port = server.address().port
      resolve(node)
    })
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const arg = (name, otherwise) => {
    const i = process.argv.indexOf(`--${name}`)
    return i < 0 ? otherwise : process.argv[i + 1]
  }
  const node = await startMock({ port: Number(arg('port', 8420)), scenario: arg('scenario', 'rich') })
  console.log(`mock node on http://127.0.0.1:${node.port}, token: mock`)
}
