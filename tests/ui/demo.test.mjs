// The demo app on a real node with real containers, as a person sees it in a browser.
// Needs ARCHIPELAGO_BIN, ARCHY_BIN, ARCHIPELAGO_CATALOG; runs as the user who owns rootless Podman.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, test } from 'node:test'
import { createInterface } from 'node:readline'
import { assertNobodyThere, identities, killContainer, podman, RealNode, sweep } from './support/node.mjs'
import { common, mark, phases } from './support/order.mjs'
import { assertAccessible, choose, launch, login, openPage, record, recorded, sameDocument, untilRecorded } from './support/page.mjs'

const CONTAINERS = ['demo-cache', 'demo-api', 'demo-web']
const card = '[data-app="demo"]'
const inPhase = (phase) => `${card}[data-phase="${phase}"][data-confidence="live"]`
const LONG = { timeout: 120_000 }

let node, browser, page, seen
let mine = false

before(async () => {
  await assertNobodyThere(CONTAINERS)
  mine = true
  node = await RealNode.make()
  await node.start()
  browser = await launch()
  ;({ page, seen } = await openPage(browser, node.url))
})

after(async () => {
  await browser?.close()
  await node?.remove()
  if (mine) await sweep(CONTAINERS)
})

test('the demo app, from the first login to its uninstall', { timeout: 600_000 }, async (t) => {
  // Each step stands on the one before: after a failure the rest would only repeat it.
  let broken = false
  const step = (name, run) =>
    t.test(name, { skip: broken && 'an earlier step failed' }, async (s) => {
      try {
        await run(s)
      } catch (error) {
        broken = true
        s.diagnostic(node.log.slice(-4_000))
        throw error
      }
    })

  await step('a wrong token is refused in words, the right one opens the page', async () => {
    await page.goto('/tree')
    await page.getByTestId('token').fill('wrong')
    await page.getByTestId('login-submit').click()
    await page.getByTestId('error').waitFor()
    await assertAccessible(page, 'login')
    await login(page, node.token)
    await page.getByTestId('empty').waitFor()
    await assertAccessible(page, 'my apps, empty')
  })

  await step('an install from the store shows its stages and ends running', async () => {
    await page.goto('/apps/demo')
    await page.locator('[data-testid=needs][data-fits=true]').getByText('Works on this node').waitFor()
    await page.getByTestId('places').getByText('demo_cache-data').waitFor()
    await assertAccessible(page, 'an app of the store')
    await page.getByTestId('nav-store').click()
    await record(page, 'demo')
    await page.locator('[data-store-app="demo"] [data-testid="primary-install"]').click()
    await page.locator('[data-store-app="demo"]:not([data-phase="not_installed"])').waitFor()
    await page.locator('[data-store-app="demo"][data-phase="running"]').waitFor(LONG)
    const { stages } = await recorded(page)
    const RANK = ['waiting', 'running', 'done']
    const byStage = groupBy(stages)
    assert.ok(byStage.size >= 3, `named stages were shown: ${[...byStage.keys()]}`)
    assert.ok(stages.some((s) => s.state === 'done'), 'a stage was seen to end')
    for (const [stage, list] of byStage) {
      const ranks = list.filter((s) => s.state !== 'skipped').map((s) => RANK.indexOf(s.state))
      assert.deepEqual(ranks, [...ranks].sort(), `stage ${stage} never went back`)
    }
    await assertAccessible(page, 'store')
    await page.getByTestId('nav-apps').click()
    await page.locator(inPhase('running')).waitFor()
    await page.locator(`${card} [data-testid=expand]`).click()
    for (const service of ['cache', 'api', 'web']) {
      await page.locator(`${card} [data-container="${service}"][data-phase="running"]`).waitFor()
    }
    const href = await page.locator(`${card} [data-testid=open]`).getAttribute('href')
    assert.equal((await fetch(href)).status, 200, `${href} answers`)
    await assertAccessible(page, 'my apps')
  })

  await step('redis is killed from outside: page and command line show the same, without a reload', async (s) => {
    const watch = await watchCli()
    try {
      const killedAt = await killContainer('demo-cache')
      await untilRecorded(page, (at) => {
        const list = globalThis.__rec.containers.cache
        const gone = list.findIndex((x) => x.at >= at && x.phase !== 'running')
        const back = list.findIndex((x, i) => gone >= 0 && i > gone && x.phase === 'running' && x.health === 'healthy')
        return back > gone && gone >= 0
      }, killedAt - 1_000)
      await page.locator(inPhase('running')).waitFor()
      await sameDocument(page)
      const list = (await recorded(page)).containers.cache
      const gone = list.find((x) => x.at >= killedAt - 1_000 && x.phase !== 'running')
      const back = list.find((x) => x.at > gone.at && x.phase === 'running' && x.health === 'healthy')
      const delay = gone.at - killedAt
      s.diagnostic(`shown as not running ${delay} ms after the kill, as ready again after ${back.at - killedAt} ms`)
      s.diagnostic(`page: ${phases(list).join(' ')}`)
      assert.ok(delay < 1_000, `shown ${delay} ms after the kill`)
      assert.equal(phases(list).at(-1), 'running')

      const told = await watch.until((rows) => rows.at(-1)?.since >= back.since && rows.at(-1)?.phase === 'running')
      s.diagnostic(`archy: ${phases(told).join(' ')}`)
      const shown = list.map(mark)
      const spoken = told.map(mark)
      const both = common(shown, spoken)
      assert.deepEqual(both, common(spoken, shown), 'the same transitions in the same order')
      assert.ok(both.some((x) => !x.startsWith('running')), `both saw it down: ${both}`)
      assert.equal(both.at(-1), shown.at(-1), 'both ended with the same state')
      const tree = await page.locator(card).getAttribute('data-restarts')
      assert.ok(Number(tree) >= 1, 'the restart is counted')
    } finally {
      await watch.stop()
    }
  })

  await step('the supervision tree shows the restart', async () => {
    await page.getByTestId('nav-tree').click()
    const rows = page.locator('[role=treeitem]')
    await rows.first().waitFor()
    await page.locator('[role=treeitem][data-tree*="demo"][data-tree*="cache"]:not([data-restarts="0"])').first().waitFor()
    await rows.first().click()
    await page.keyboard.press('End')
    assert.equal(await rows.last().evaluate((el) => el === document.activeElement), true, 'End moves to the last row')
    await assertAccessible(page, 'tree')
    await page.getByTestId('nav-apps').click()
    await page.locator(`${card} [data-testid=expand]`).click()
    await page.locator(`${card} [data-container=cache]`).waitFor()
  })

  await step('the app’s page: what happened and why, and what its containers say', async () => {
    await page.locator(`${card} [data-testid=detail]`).click()
    await page.locator('[data-app-page=demo][data-phase=running]').waitFor()
    await assertAccessible(page, 'app')
    await page.getByTestId('tab-activity').click()
    const restart = page.locator('[data-event]', { hasText: '137' })
    await restart.first().waitFor()
    await assertAccessible(page, 'app, activity')
    await page.getByTestId('tab-containers').click()
    await page.locator('[data-container=cache]').getByText('localhost').first().waitFor()
    await page.getByTestId('tab-logs').click()
    await page.getByTestId('log-web').click()
    const log = page.getByTestId('log')
    const href = await demoAddress()
    const mark = `/from-the-browser-test-${Date.now()}`
    await page.locator('[data-testid=follow][aria-pressed=true]').waitFor()
    await untilSaid(log, mark, () => fetch(href + mark))
    await assertAccessible(page, 'app, logs')
    await page.getByTestId('tab-data').click()
    await page.getByTestId('places').getByText('demo_cache-data').waitFor()
    await page.getByTestId('backups').waitFor()
    await assertAccessible(page, 'app, data')
    await page.getByTestId('tab-config').click()
    await page.getByTestId('secrets').getByText('redis-password').waitFor()
    await page.getByTestId('ports').getByText(`${new URL(href).port}/tcp`).waitFor()
    await assertAccessible(page, 'app, configuration')
    await page.getByTestId('nav-activity').click()
    await page.getByTestId('events').waitFor()
    await assertAccessible(page, 'activity')
    await page.getByTestId('nav-apps').click()
    await page.locator(`${card} [data-testid=expand]`).click()
  })

  await step('the daemon is killed and started: containers keep running, the page comes back by itself', async (s) => {
    const before = await identities(CONTAINERS)
    await node.kill('SIGKILL')
    await page.locator('[data-testid=connection]:not([data-link="live"])').waitFor()
    await page.locator(`${card}[data-confidence="last_known"] [data-testid=as-of]`).waitFor()
    await assertAccessible(page, 'my apps, last known')
    const from = Date.now()
    await node.start()
    await page.locator('[data-link=live]').waitFor()
    await page.locator(inPhase('running')).waitFor(LONG)
    s.diagnostic(`live and running ${Date.now() - from} ms after the start of the daemon`)
    assert.deepEqual(await identities(CONTAINERS), before, 'same ids, same start times')
    await sameDocument(page)
  })

  await step('stopped by the user, it stays stopped over a restart of the daemon', async () => {
    await choose(page, 'demo', 'stop')
    await page.locator(inPhase('stopped')).waitFor(LONG)
    await page.getByTestId('undo-bar').waitFor()
    await node.kill('SIGKILL')
    await page.locator('[data-testid=connection]:not([data-link="live"])').waitFor()
    await node.start()
    await page.locator('[data-link=live]').waitFor()
    await page.getByTestId('nav-node').click()
    await page.locator('[data-node="engine"][data-ok="true"]').waitFor()
    await assertAccessible(page, 'node')
    await page.getByTestId('nav-apps').click()
    await page.locator(inPhase('stopped')).waitFor(LONG)
    const states = await podman('ps', '--format', '{{.Names}}')
    assert.deepEqual(CONTAINERS.filter((name) => states.split('\n').includes(name)), [], 'no container of it runs')
    await page.locator(`${card} [data-testid=primary-start]`).click()
    await page.locator(inPhase('running')).waitFor(LONG)
  })

  await step('a password takes the place of the token, and ends the other logins', async () => {
    const other = await openPage(browser, node.url)
    await login(other.page, node.token)
    await page.getByTestId('nav-settings').click()
    await page.getByTestId('sessions').getByRole('listitem').nth(1).waitFor()
    await page.getByTestId('password-settings').getByRole('button').click()
    await page.getByTestId('token').fill(node.token)
    await page.getByTestId('new-password').fill('correct horse battery')
    await page.getByTestId('new-password-again').fill('correct horse battery')
    await page.getByTestId('setup-submit').click()
    await page.locator('[data-link=live]').waitFor()
    await other.page.getByText('Your session has ended').waitFor()
    await other.page.getByTestId('password').fill('correct horse battery')
    await other.page.getByTestId('login-submit').click()
    await other.page.locator('[data-link=live]').waitFor()
    await other.context.close()
    await page.getByTestId('token-name').fill('a script')
    await page.getByTestId('token-make').click()
    const made = await page.getByTestId('token-made').locator('code').textContent()
    const answer = await fetch(`${node.url}/api/v1/snapshot/apps`, { headers: { Authorization: `Bearer ${made}` } })
    assert.equal(answer.status, 200, 'the token that was shown works')
    await assertAccessible(page, 'settings')
    await page.getByTestId('nav-apps').click()
    await page.locator(inPhase('running')).waitFor()
  })

  await step('uninstalled, it is gone from My Apps, and its data are kept', async () => {
    const volumes = (await podman('volume', 'ls', '-q')).split('\n')
    await choose(page, 'demo', 'uninstall')
    await page.getByTestId('data-kept').waitFor()
    await assertAccessible(page, 'uninstall dialog')
    await page.getByTestId('confirm-yes').click()
    await page.locator(card).waitFor({ state: 'detached', ...LONG })
    await page.getByTestId('empty').waitFor()
    await assertNobodyThere(CONTAINERS)
    const left = (await podman('volume', 'ls', '-q')).split('\n')
    assert.deepEqual(volumes.filter((v) => !left.includes(v)), [], 'no volume was removed')
  })

  await step('killed in the middle of an install, the node ends it by itself, and the page shows it', async () => {
    await page.goto('/store')
    await page.locator('[data-store-app="demo"] [data-testid="primary-install"]').click()
    await page.locator('[data-store-app="demo"] [data-testid=progress] [data-stage-state=done]').first().waitFor(LONG)
    await node.kill('SIGKILL')
    await page.locator('[data-testid=connection]:not([data-link="live"])').waitFor()
    await page.evaluate(() => (globalThis.__sameDocument = true))
    await node.start()
    await page.locator('[data-store-app="demo"][data-phase="running"]').waitFor(LONG)
    await sameDocument(page)
  })

  await step('uninstalled with its data, for which its name has to be typed, it leaves nothing behind', async () => {
    const ours = async () => (await podman('volume', 'ls', '-q')).split('\n').filter((v) => v.startsWith('demo_'))
    assert.notDeepEqual(await ours(), [])
    await page.getByTestId('nav-apps').click()
    await choose(page, 'demo', 'uninstall')
    await page.getByTestId('purge').check()
    await page.getByTestId('confirm-yes').click()
    await page.getByTestId('confirm-word').waitFor()
    await assertAccessible(page, 'what a purge takes')
    assert.equal(await page.getByTestId('confirm-yes').isDisabled(), true)
    await page.getByTestId('confirm-word').fill('demo')
    await page.getByTestId('confirm-yes').click()
    await page.locator(card).waitFor({ state: 'detached', ...LONG })
    await assertNobodyThere(CONTAINERS)
    assert.deepEqual(await ours(), [])
  })

  await step('all the while nothing was polled, loaded from elsewhere or refused by the policy', async (s) => {
    await sameDocument(page)
    assert.deepEqual(seen.errors, [])
    assert.deepEqual(seen.foreign, [])
    const api = seen.requests.filter((r) => r.includes('/api/') && !r.endsWith('/ws'))
    s.diagnostic(`requests to the node: ${[...new Set(api)].map((r) => `${r} x${api.filter((x) => x === r).length}`).join(', ')}`)
    const allowed = /^(POST \/api\/v1\/(login|commands|setup|tokens)|GET \/api\/v1\/(auth|session|sessions|tokens|apps\/demo\/(manifest|backups)|apps\/[a-z0-9-]+\/icon))$/
    // Icons are images: asked for when a card is drawn, not again and again.
    assert.deepEqual(api.filter((r) => !allowed.test(r)), [], 'state comes over the socket only')
  })
})

const demoAddress = async () => (await page.locator('[data-testid=open]').getAttribute('href')).replace(/\/$/, '')

/** Does something until the log says it: a subscription that is a moment late misses what was said before. */
async function untilSaid(log, text, act) {
  const said = log.getByText(text).first().waitFor()
  await act()
  await said
}

function groupBy(stages) {
  const map = new Map()
  for (const s of stages) map.set(s.stage, [...(map.get(s.stage) ?? []), s])
  return map
}

/** `archy watch --json`, reduced to what it says about the container `cache`. */
async function watchCli() {
  const args = ['--data-dir', node.dir, '--url', node.url, 'watch', '--json']
  const child = spawn(process.env.ARCHY_BIN, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const rows = []
  const waiting = new Set()
  const ended = new Promise((resolve) => child.once('exit', resolve))
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line)
    if (said.app !== 'demo' || said.container !== 'cache') return
    rows.push({ phase: said.to, since: said.at })
    for (const check of waiting) check()
  })
  const watch = {
    until: (done, ms = 30_000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`archy watch did not say it: ${JSON.stringify(rows)}`)), ms)
        const check = () => {
          if (!done(rows)) return
          clearTimeout(timer)
          waiting.delete(check)
          resolve([...rows])
        }
        waiting.add(check)
        check()
      }),
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
  await watch.until((list) => list.length > 0)
  return watch
}
