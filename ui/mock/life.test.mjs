// What people do across pages, and what survives a node that goes away.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chord, login, record, sameDocument } from '../../tests/ui/support/page.mjs'
import { bench } from './bench.mjs'

const b = bench()

/** Waits until the browser's database holds this many states. */
const untilKept = (n) =>
  b.page.waitForFunction(
    (want) =>
      new Promise((resolve) => {
        const open = indexedDB.open('archipelago', 1)
        open.onupgradeneeded = () => open.result.createObjectStore('state')
        open.onsuccess = () => {
          const count = open.result.transaction('state').objectStore('state').count()
          count.onsuccess = () => (open.result.close(), resolve(count.result === want))
        }
      }),
    n,
  )

test('the connection is lost in the middle of an installation: it ends as it ended, without a reload', async () => {
  await b.enter({ scenario: 'empty', pace: 60 })
  await b.page.goto('/apps/demo')
  await b.page.locator('[data-app-page=demo] [data-testid=primary-install]').waitFor()
  await record(b.page, 'demo')
  // It stands still until the page has seen it and has gone: nothing depends on which of the two is faster.
  b.node.stopAt = 'secrets'
  await b.page.getByTestId('primary-install').click()
  await b.page.locator('[data-testid=progress] [data-stage=secrets][data-stage-state=running]').waitFor()
  await b.page.getByTestId('tray-count').getByText('1').waitFor()
  await b.context.setOffline(true)
  b.node.drop()
  await b.page.locator('[data-app-page=demo][data-confidence=last_known]').waitFor()
  b.node.resume()
  await b.context.setOffline(false)
  await b.page.locator('[data-app-page=demo][data-phase=running][data-confidence=live]').waitFor()
  await sameDocument(b.page)
  assert.equal(await b.page.getByTestId('tray-count').count(), 0)
})

test('a visit while the node is away shows the last known state, dated, and touches nothing', async () => {
  await b.open({}, { viewport: { width: 1280, height: 860 }, serviceWorkers: 'allow' })
  await login(b.page, 'mock')
  await b.card('demo').waitFor()
  await b.page.evaluate(() => navigator.serviceWorker.ready)
  await untilKept(1)
  await b.node.close()
  await b.page.goto('/')
  await b.card('demo').and(b.page.locator('[data-confidence=last_known]')).waitFor()
  await b.page.getByTestId('banner').getByText('You see the last known state').waitFor()
  await b.card('wiki').getByTestId('as-of').waitFor()
  assert.equal(await b.card('wiki').getByTestId('primary-start').getAttribute('aria-disabled'), 'true')
  assert.equal(await b.card('wiki').getByTestId('menu').isDisabled(), true)
})

test('a logout wipes what was remembered', async () => {
  await b.enter()
  await b.card('demo').waitFor()
  await untilKept(1)
  await b.page.getByTestId('prefs').click()
  await b.page.getByTestId('logout').click()
  await b.page.getByTestId('login').waitFor()
  await untilKept(0)
})

test('the first visit: token, then a password of one’s own; from then on that, and a code if wanted', async () => {
  await b.open({ setup: true })
  await b.page.goto('/')
  await b.page.getByTestId('token').fill('mock')
  await b.page.getByTestId('login-submit').click()
  await b.page.getByTestId('new-password').fill('short')
  await b.page.getByTestId('setup-submit').click()
  await b.page.getByText('It is too short').waitFor()
  await b.page.getByTestId('new-password').fill('correct horse battery')
  await b.page.getByTestId('new-password-again').fill('correct horse battery')
  await b.page.getByTestId('setup-submit').click()
  await b.card('demo').waitFor()
  await chord(b.page, 'g', 'e')
  await b.page.getByTestId('totp-begin').click()
  await b.page.locator('.qr').waitFor()
  await b.page.getByTestId('totp-code').fill('000000')
  await b.page.getByTestId('totp-finish').click()
  await b.page.getByTestId('totp').getByText('This code is not right.').waitFor()
  await b.page.getByTestId('totp-code').fill('123456')
  await b.page.getByTestId('totp-finish').click()
  await b.page.locator('[data-testid=totp][data-on=true]').waitFor()
  await b.page.getByTestId('prefs').click()
  await b.page.getByTestId('logout').click()
  await b.page.getByTestId('code').waitFor()
})

test('sessions are ended and tokens made and revoked; a token is shown once', async () => {
  await b.enter()
  await b.page.goto('/settings')
  await b.page.getByTestId('sessions').getByRole('button', { name: 'Log out 10.8.0.2' }).click()
  await b.page.getByTestId('sessions').getByText('Firefox, Windows').waitFor({ state: 'detached' })
  await b.page.getByTestId('token-name').fill('display')
  await b.page.getByTestId('token-make').click()
  await b.page.getByTestId('token-made').getByText('archy_mock_').waitFor()
  await b.page.reload()
  await b.page.getByTestId('tokens').getByRole('button', { name: 'Revoke display' }).click()
  await b.page.getByTestId('tokens').locator('strong', { hasText: 'display' }).filter({ hasNotText: 'Wall' }).waitFor({ state: 'detached' })
  assert.equal(await b.page.getByTestId('token-made').count(), 0)
})

test('everything by keyboard: palette, letters after g, search, and what is written is not a shortcut', async () => {
  await b.enter()
  await b.card('demo').waitFor()
  const at = () => b.page.evaluate(() => location.pathname)
  await chord(b.page, 'g', 't')
  await b.page.locator('[role=treeitem]').first().waitFor()
  await chord(b.page, 'g', 'a')
  await b.card('demo').waitFor()
  await b.page.keyboard.press('/')
  await b.page.keyboard.type('gat')
  assert.equal(await at(), '/')
  await b.card('demo').waitFor({ state: 'detached' })
  await b.page.keyboard.press('Escape')
  await b.card('demo').waitFor()
  await b.page.keyboard.press('Control+k')
  await b.page.getByTestId('palette').waitFor()
  await b.page.keyboard.type('stop: demo')
  await b.page.locator('[data-entry="stop demo"][aria-selected=true]').waitFor()
  await b.page.keyboard.press('Enter')
  await b.page.locator('[data-app=demo][data-phase=stopped]').waitFor()
})

test('the journal: what happens is pushed, filters are in the address, a link opens its event', async () => {
  await b.enter()
  assert.equal(b.subs('events'), 0)
  await b.page.getByTestId('nav-activity').click()
  await b.page.locator('[data-event=op_failed]').waitFor()
  b.node.event({ app: 'demo', severity: 'error', kind: 'new_thing', message: 'Something new', cause: ['because'], subject: 'node/stacks/demo/containers/cache' })
  const fresh = b.page.locator('[data-event=new_thing]')
  await fresh.waitFor()
  await b.page.getByTestId('filter-severity').selectOption('error')
  await b.page.locator('[data-event=op_succeeded]').first().waitFor({ state: 'detached' })
  assert.match(b.page.url(), /severity=error/)
  await fresh.locator('.twist').click()
  await fresh.locator('.perma').click()
  await b.page.reload()
  await b.page.locator('[data-event=new_thing].here').getByText('because').first().waitFor()
  await b.page.getByRole('link', { name: 'Show in the tree' }).click()
  await b.page.locator('[data-tree="node/stacks/demo/containers/cache"][aria-selected=true]').waitFor()
  await b.page.getByTestId('tree-details').getByText('Something new').waitFor()
})

test('a gate opens: who waits and for how long is pushed, and it says so when nobody answers', async () => {
  await b.enter()
  await b.page.goto('/apps/mempool')
  const gate = b.page.locator('[data-gate="bitcoin/synced"]')
  await gate.getByText('817,652 of 954,850 blocks').waitFor()
  const row = b.row('gates', 'bitcoin/synced')
  b.node.put('gates', { ...row, state: 'unreachable', rate: null, eta_s: null, eta_max_s: null })
  await gate.and(b.page.locator('[data-gate-state=unreachable]')).getByText('nobody knows how far it is').waitFor()
  b.node.put('gates', { ...row, state: 'open', progress: 1 })
  const app = b.row('apps', 'mempool')
  b.node.put('apps', { ...app, phase: 'running', reason: null, wait: [] })
  await b.page.locator('[data-app-page=mempool][data-phase=running]').waitFor()
  await gate.waitFor({ state: 'detached' })
})

test('usage is measured only while somebody looks', async () => {
  await b.enter()
  await b.card('demo').waitFor()
  assert.equal(b.subs('metrics'), 0)
  await b.page.getByTestId('nav-node').click()
  await b.page.getByTestId('node-usage').getByText('Bitcoin').waitFor()
  await b.page.getByTestId('nav-apps').click()
  await b.card('demo').waitFor()
  await b.until(() => b.sent.some((m) => m.t === 'unsub' && m.streams.includes('metrics')), 'the measuring ends')
})

test('a tab that was frozen is current when it is thawed, without a reload', async () => {
  await b.enter()
  await b.card('demo').waitFor()
  await record(b.page, 'demo')
  const cdp = await b.context.newCDPSession(b.page)
  await cdp.send('Page.setWebLifecycleState', { state: 'frozen' })
  b.node.put('apps', { ...b.row('apps', 'demo'), phase: 'degraded' })
  b.node.drop()
  b.node.put('apps', { ...b.row('apps', 'demo'), phase: 'unhealthy' })
  await cdp.send('Page.setWebLifecycleState', { state: 'active' })
  await b.page.locator('[data-app=demo][data-phase=unhealthy][data-confidence=live]').waitFor()
  await sameDocument(b.page)
})

test('a crash loop says when it goes on, and a retry begins anew', async () => {
  await b.enter()
  const card = b.card('chat')
  await card.and(b.page.locator('[data-phase=crash_looping]')).getByText('The supervisor tries again at').waitFor()
  await card.getByText('Retry').click()
  await b.page.locator('[data-app=chat][data-phase=running]').waitFor()
  assert.equal(await card.getByText('The supervisor tries again at').count(), 0)
})
