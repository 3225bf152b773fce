// The page against the mock node: what a real node does rarely or not on demand. Needs `npm run build` and Chromium.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { choose, login, record, recorded, sameDocument } from '../../tests/ui/support/page.mjs'
import { bench } from './bench.mjs'
import { app, container, error } from './rows.mjs'

const b = bench()
let node, page, context, seen, sent, received

const take = () => ({ node, page, context, seen, sent, received } = b)
async function open(options, view) {
  await b.open(options, view)
  take()
}
async function enter(options, view) {
  await b.enter(options, view)
  take()
}

const card = (id) => page.locator(`[data-app="${id}"]`)
const snapshots = () => received.filter((m) => m.t === 'snapshot' && m.last && m.stream === 'apps').length
const count = (stream) => sent.filter((m) => m.t === 'sub' && m.streams.some((s) => s.stream === stream)).length

test('a session outlives a reload, a logout ends it in every tab', async () => {
  await enter()
  await page.reload()
  await page.locator('[data-link=live]').waitFor()
  const other = await context.newPage()
  await other.goto('/store')
  await other.locator('[data-link=live]').waitFor()
  await page.getByTestId('prefs').click()
  await page.getByTestId('logout').click()
  await page.getByTestId('login').waitFor()
  await other.getByText('Your session has ended').waitFor()
})

test('an install shows its stages, never goes back, and lets the button go when the node has it', async () => {
  await enter({ scenario: 'empty', pace: 100 })
  await page.getByTestId('nav-store').click()
  await record(page, 'demo')
  await page.locator('[data-store-app=demo] [data-testid=primary-install]').click()
  await page.locator('[data-store-app=demo][data-phase=running]').waitFor()
  const { stages, texts } = await recorded(page)
  const shares = texts.flatMap(({ text }) => /Step 2 of 7: Images (\d+)%/.exec(text)?.[1] ?? []).map(Number)
  assert.ok(shares.length > 0 && Math.max(...shares) < 100, `the share is shown where it is known: ${shares}`)
  assert.deepEqual(shares, [...shares].sort((a, b) => a - b))
  const RANK = ['waiting', 'running', 'done']
  for (const stage of new Set(stages.map((s) => s.stage))) {
    const ranks = stages.filter((s) => s.stage === stage).map((s) => RANK.indexOf(s.state))
    assert.deepEqual(ranks, [...ranks].sort(), stage)
  }
  await page.getByTestId('nav-apps').click()
  await card('demo').locator('[data-testid=open]').waitFor()
})

test('the phase is never the client’s: a refused command changes nothing but says why, at the card', async () => {
  await enter()
  node.refuse = { status: 422, body: error('invalid', 'The manifest is not acceptable.', 'Mend the manifest.', [{ rule: 'bad_port', field: 'services.web.ports[0]', line: 3, column: 1, message: '0 is no port', remedy: 'Use 1 to 65535.' }]) }
  await choose(page, 'demo', 'stop')
  const note = card('demo').getByTestId('error')
  await note.getByText('Mend the manifest.').waitFor()
  await note.getByText('services.web.ports[0]: 0 is no port Use 1 to 65535.').waitFor()
  assert.equal(await card('demo').getAttribute('data-phase'), 'running')
  node.refuse = null
  await note.getByText('Retry').click()
  await page.locator('[data-app=demo][data-phase=stopped]').waitFor()
  assert.equal(await note.count(), 0)
})

test('after a lost answer the same command is sent again with the same key', async () => {
  await enter()
  const keys = []
  await page.route('**/api/v1/commands', (route) => {
    keys.push(route.request().headers()['idempotency-key'])
    return keys.length === 1 ? route.abort() : route.continue()
  })
  await choose(page, 'demo', 'stop')
  await card('demo').getByTestId('error').getByText('The node did not answer.').waitFor()
  await card('demo').getByTestId('error').getByText('Retry').click()
  await page.locator('[data-app=demo][data-phase=stopped]').waitFor()
  assert.equal(keys.length, 2)
  assert.equal(keys[0], keys[1])
})

test('a lost connection keeps the cards, dated, and resumes without a snapshot', async () => {
  await enter()
  await card('demo').waitFor()
  await record(page, 'demo')
  const before = snapshots()
  await context.setOffline(true)
  node.drop()
  await card('demo').and(page.locator('[data-confidence=last_known]')).waitFor()
  await card('demo').getByTestId('as-of').waitFor()
  node.put('apps', { ...node.streams.apps.rows.get('demo').row, phase: 'degraded' })
  await context.setOffline(false)
  await page.locator('[data-app=demo][data-phase=degraded][data-confidence=live]').waitFor()
  assert.equal(snapshots(), before)
  await sameDocument(page)
})

test('a restarted node replaces everything: what is not in its snapshot is gone', async () => {
  await enter()
  await card('wiki').waitFor()
  node.streams.apps.rows.delete('wiki')
  node.restart()
  await card('wiki').waitFor({ state: 'detached' })
  await card('demo').and(page.locator('[data-confidence=live]')).waitFor()
})

test('a gap is answered by a new snapshot, and what came with the gap is not shown', async () => {
  await enter()
  await card('demo').waitFor()
  const before = snapshots()
  node.inject({ t: 'delta', stream: 'apps', from: 9_000, seq: 9_001, ops: [{ op: 'put', v: app('ghost', 'Ghost', '') }] })
  await page.waitForFunction(() => document.querySelector('[data-app=demo][data-confidence=live]'))
  await b.until(() => snapshots() > before, 'a new snapshot')
  assert.deepEqual(sent.filter((m) => m.t === 'sub').at(-1).streams, [{ stream: 'apps' }])
  assert.equal(await card('ghost').count(), 0)
})

test('the tree is subscribed only while its page is open, and walks with the keys', async () => {
  await enter()
  await card('demo').waitFor()
  assert.equal(count('tree'), 0)
  await page.getByTestId('nav-tree').click()
  const first = page.locator('[role=treeitem]').first()
  await first.click()
  await page.keyboard.press('ArrowDown')
  assert.equal(await page.evaluate(() => document.activeElement.dataset.tree), 'node/store')
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowLeft')
  assert.equal(await page.locator('[role=treeitem]').count(), 1)
  await page.keyboard.press('ArrowRight')
  await page.locator('[data-tree="node/stacks/demo/containers/cache"]').waitFor()
  await page.getByTestId('nav-apps').click()
  await card('demo').waitFor()
  assert.equal(count('tree'), 1)
  await b.until(() => sent.some((m) => m.t === 'unsub'), 'the tree is let go')
  assert.deepEqual(sent.find((m) => m.t === 'unsub'), { t: 'unsub', streams: ['tree'] })
})

test('nothing moves under the pointer: the order waits until it has left', async () => {
  await enter()
  const order = () => page.locator('[data-app]').evaluateAll((list) => list.map((el) => el.dataset.app))
  await card('demo').hover()
  const before = await order()
  node.put('apps', { ...node.streams.apps.rows.get('wiki').row, phase: 'failed' })
  await page.locator('[data-app=wiki][data-phase=failed]').waitFor()
  assert.deepEqual(await order(), before)
  await page.mouse.move(0, 0)
  await page.waitForFunction(() => [...document.querySelectorAll('[data-app]')].findIndex((el) => el.dataset.app === 'wiki') < 3)
})

test('menu and dialog work by keyboard and give the focus back', async () => {
  await enter()
  const button = card('demo').getByTestId('menu')
  await button.focus()
  await page.keyboard.press('Enter')
  await page.keyboard.press('End')
  assert.equal(await page.evaluate(() => document.activeElement.dataset.action), 'uninstall')
  await page.keyboard.press('Enter')
  await page.getByTestId('confirm').waitFor()
  await page.keyboard.press('Escape')
  await page.getByTestId('confirm').waitFor({ state: 'detached' })
  assert.equal(await button.evaluate((el) => el === document.activeElement), true)
})

test('an idle page sends signs of life and nothing else', async () => {
  await open()
  await page.clock.install()
  await login(page, 'mock')
  await card('demo').waitFor()
  const before = seen.requests.length
  for (let i = 0; i < 4; i++) {
    const pongs = received.filter((m) => m.t === 'pong').length
    await page.clock.fastForward(16_000)
    await b.until(() => received.filter((m) => m.t === 'pong').length > pongs, 'an answer')
  }
  assert.deepEqual(seen.requests.slice(before), [])
  assert.equal(sent.filter((m) => m.t === 'ping').length >= 4, true)
})

test('a flood ends with what is, and no more frames than the page could paint', async (t) => {
  await enter({ scenario: 'empty' })
  const APPS = 100
  const ROUNDS = 50
  const services = ['a', 'b'].map((s) => container('x', s))
  await page.getByTestId('empty').waitFor()
  const before = received.length
  for (let round = 1; round <= ROUNDS; round++) {
    for (let i = 0; i < APPS; i++) node.put('apps', app(`app-${i}`, `App ${i}`, 'flooded', { restarts: round, containers: services }))
    await page.evaluate(() => null)
  }
  await page.waitForFunction(([n, r]) => document.querySelectorAll(`[data-app][data-restarts="${r}"]`).length === n, [APPS, ROUNDS])
  const frames = received.length - before
  t.diagnostic(`${APPS * ROUNDS} changes came in ${frames} frames`)
  assert.ok(frames < ROUNDS * 2)
})

test('a hidden page still answers the node, and is current when it is shown again', async () => {
  await open()
  await page.addInitScript(() => {
    globalThis.__hidden = false
    Object.defineProperty(document, 'hidden', { get: () => globalThis.__hidden })
    // As browsers do: no animation frames while hidden.
    const frame = globalThis.requestAnimationFrame.bind(globalThis)
    globalThis.requestAnimationFrame = (run) => (globalThis.__hidden ? 0 : frame(run))
  })
  await login(page, 'mock')
  await card('demo').waitFor()
  await page.evaluate(() => {
    globalThis.__hidden = true
    document.dispatchEvent(new Event('visibilitychange'))
  })
  for (const phase of ['degraded', 'unhealthy']) {
    node.put('apps', { ...node.streams.apps.rows.get('demo').row, phase })
    await page.locator(`[data-app=demo][data-phase=${phase}]`).waitFor()
  }
  node.drop()
  await page.locator('[data-link=reconnecting]').waitFor()
  await page.evaluate(() => {
    globalThis.__hidden = false
    document.dispatchEvent(new Event('visibilitychange'))
  })
  await page.locator('[data-link=live]').waitFor()
})

test('German by the browser’s wish, dark by choice, and both are remembered', async () => {
  await enter({}, { locale: 'de-DE', viewport: { width: 390, height: 844 } })
  await page.getByRole('heading', { name: 'Meine Apps' }).waitFor()
  await page.getByTestId('prefs').click()
  await page.getByTestId('theme').selectOption('dark')
  await page.getByTestId('language').selectOption('en')
  await page.getByRole('heading', { name: 'My Apps' }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: 'My Apps' }).waitFor()
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark')
})
