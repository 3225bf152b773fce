// More than anybody can read: the page stays responsive, shows the end, and keeps no more than it says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bench } from './bench.mjs'

const b = bench()

/** Longest time that the page did not answer, and how many frames it drew, while `work` ran. */
async function watchFrames(page, work) {
  await page.evaluate(() => {
    const state = (globalThis.__frames = { n: 0, worst: 0, last: performance.now(), on: true })
    const tick = (now) => {
      state.worst = Math.max(state.worst, now - state.last)
      state.last = now
      state.n++
      if (state.on) requestAnimationFrame(tick)
    }
    requestAnimationFrame(tick)
  })
  await work()
  return page.evaluate(() => {
    globalThis.__frames.on = false
    const { n, worst } = globalThis.__frames
    return { n, worst: Math.round(worst) }
  })
}

test('200 apps with 50 changes a second each: seen cards are current, the page answers', { timeout: 200_000 }, async (t) => {
  await b.enter({ scenario: 'many' })
  await b.card('app-199').waitFor({ state: 'attached' })
  const SECONDS = 4
  const ids = Array.from({ length: 200 }, (_, i) => `app-${String(i).padStart(3, '0')}`)
  const rows = ids.map((id) => b.row('apps', id))
  const before = b.received.length
  // How old what is on the page is: the node writes its clock into the row, the page shows it as an attribute.
  await b.page.evaluate(() => {
    globalThis.__ages = []
    globalThis.__far = 0
    const card = document.querySelector('[data-app]')
    const far = document.querySelector('[data-app=app-199]')
    new MutationObserver(() => globalThis.__far++).observe(far, { attributes: true, attributeFilter: ['data-observed'] })
    new MutationObserver(() => globalThis.__ages.push(Date.now() - Number(card.dataset.observed))).observe(card, { attributes: true, attributeFilter: ['data-observed'] })
  })
  let changes = 0
  const frames = await watchFrames(b.page, async () => {
    const end = Date.now() + SECONDS * 1_000
    let round = 0
    await new Promise((resolve) => {
      const timer = setInterval(() => {
        round++
        for (const row of rows) b.node.put('apps', { ...row, observed_at: Date.now(), restarts: round, reason: `round ${round}` })
        changes += rows.length
        if (Date.now() < end) return
        clearInterval(timer)
        resolve()
      }, 20)
    })
    for (const row of rows) b.node.put('apps', { ...row, observed_at: Date.now(), restarts: 9_999, reason: 'done' })
  })
  const ages = (await b.page.evaluate(() => globalThis.__ages)).sort((x, y) => x - y)
  const p = (share) => ages[Math.min(ages.length - 1, Math.floor(ages.length * share))]
  t.diagnostic(`${changes} changes in ${SECONDS} s came in ${b.received.length - before} frames; ${frames.n} frames drawn, longest pause ${frames.worst} ms`)
  t.diagnostic(`age of what is shown: p50 ${p(0.5)} ms, p95 ${p(0.95)} ms, p99 ${p(0.99)} ms`)
  const far = await b.page.evaluate(() => globalThis.__far)
  assert.ok(far <= SECONDS, `a card that nobody sees was redrawn ${far} times`)
  await b.card('app-000').and(b.page.locator('[data-restarts="9999"]')).waitFor()
  // What is scrolled away catches up as well.
  await b.page.waitForFunction(() => document.querySelectorAll('[data-app][data-restarts="9999"]').length === 200)
  assert.ok(frames.worst < 1_500, `the page paused for ${frames.worst} ms`)
  assert.ok(p(0.99) < 1_500, `what was shown was ${p(0.99)} ms old`)
})

test('a log under flood draws what is on the screen, says what is missing and lets go of the old', { timeout: 200_000 }, async (t) => {
  await b.enter()
  await b.page.goto('/apps/demo/logs?service=web')
  await b.page.getByTestId('log').locator('.line').first().waitFor()
  const frames = await watchFrames(b.page, async () => {
    for (let i = 0; i < 60; i++) {
      const lines = Array.from({ length: 500 }, (_, n) => `flood ${i * 500 + n} ${'x'.repeat(60)}`)
      b.node.log('logs:demo/web', lines, i === 30 ? 1_000 : 0)
      await b.page.evaluate(() => null)
    }
    b.node.log('logs:demo/web', ['the last line'])
    await b.page.getByTestId('log').getByText('the last line').waitFor()
  })
  t.diagnostic(`30,000 lines; ${frames.n} frames drawn, longest pause ${frames.worst} ms`)
  const drawn = await b.page.getByTestId('log').locator('.line').count()
  assert.ok(drawn < 150, `${drawn} lines are in the document`)
  const count = Number((await b.page.getByTestId('log-count').textContent()).replace(/\D/g, ''))
  assert.ok(count <= 12_000 && count >= 10_000, `${count} lines are kept`)
  assert.ok(frames.worst < 1_500, `the page paused for ${frames.worst} ms`)

  // Reading holds still: what comes is counted, not scrolled to.
  await b.page.getByTestId('log').evaluate((el) => (el.scrollTop = el.scrollHeight / 2))
  await b.page.locator('[data-testid=follow][aria-pressed=false]').waitFor()
  b.node.log('logs:demo/web', ['one', 'two', 'three'])
  await b.page.getByTestId('log-new').getByText('3 new lines').waitFor()
  await b.page.getByTestId('log-new').click()
  await b.page.getByTestId('log').getByText('three').waitFor()
})

test('lines that the node left out are said to be', async () => {
  await b.enter()
  await b.page.goto('/apps/demo/logs?service=web')
  await b.page.getByTestId('log').locator('.line').first().waitFor()
  b.node.log('logs:demo/web', ['after'], 214)
  await b.page.getByTestId('log-gap').getByText('214 lines left out here').waitFor()
  await b.page.keyboard.press('/')
  await b.page.keyboard.type('ERROR')
  await b.page.keyboard.press('Enter')
  await b.page.locator('mark').first().waitFor()
  await b.page.getByText(/^1 of \d+$/).waitFor()
})
