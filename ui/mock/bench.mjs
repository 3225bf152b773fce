// One mock node and one page for each test of a file, and everything that went over the wire.
import assert from 'node:assert/strict'
import { after, afterEach, before } from 'node:test'
import { launch, login, openPage } from '../../tests/ui/support/page.mjs'
import { startMock } from './node.mjs'

export function bench() {
  const b = { browser: null, node: null, page: null, context: null, seen: null, sent: [], received: [] }
  before(async () => (b.browser = await launch()))
  after(() => b.browser.close())

  b.open = async (options = {}, view) => {
    b.node = await startMock({ pace: 25, lockstep: true, ...options })
    Object.assign(b, await openPage(b.browser, `http://127.0.0.1:${b.node.port}`, view))
    b.sent = []
    b.received = []
    b.page.on('websocket', (ws) => {
      ws.on('framesent', (f) => b.sent.push(JSON.parse(f.payload)))
      ws.on('framereceived', (f) => b.received.push(JSON.parse(f.payload)))
    })
  }
  b.enter = async (options, view) => {
    await b.open(options, view)
    await login(b.page, 'mock')
  }
  /** Waits until the wire has carried it: what Playwright tells of frames comes after what the page shows. */
  b.until = async (done, what) => {
    const end = Date.now() + 30_000
    while (!done()) {
      assert.ok(Date.now() < end, `did not happen: ${what}`)
      await b.page.evaluate(() => null)
    }
  }
  b.card = (id) => b.page.locator(`[data-app="${id}"]`)
  b.row = (stream, key) => structuredClone(b.node.streams[stream].rows.get(key).row)
  b.subs = (stream) => b.sent.filter((m) => m.t === 'sub' && m.streams.some((s) => s.stream === stream)).length

  afterEach(async () => {
    assert.deepEqual(b.seen.errors, [])
    assert.deepEqual(b.seen.foreign, [])
    await b.context.close()
    await b.node.close()
  })
  return b
}
