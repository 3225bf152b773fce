// `make bench-ui`: the page's budgets, measured in headless Chromium against the mock node, next to their limits.
// A limit counts double while the machine is busy with other things; what is over it fails.
import { readdirSync, readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { gzipSync } from 'node:zlib'
import { launch, login, openPage } from '../../tests/ui/support/page.mjs'
import { startMock } from '../mock/node.mjs'

const LONG = Number(process.env.BENCH_SECONDS ?? 10)
const busy = loadavg()[0] > cpus().length ? 2 : 1
const results = []
const record = (what, value, limit, unit, fixed = false) => results.push({ what, value, limit: limit * (fixed ? 1 : busy), unit })
const p = (list, share) => list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))] ?? 0

function sizes() {
  const dist = new URL('../dist/', import.meta.url)
  const html = readFileSync(new URL('index.html', dist), 'utf8')
  const first = new Set([...html.matchAll(/assets\/([\w.-]+\.(?:js|css))/g)].map((m) => m[1]))
  const list = readdirSync(new URL('assets/', dist)).filter((n) => /\.(js|css)$/.test(n))
  const kb = (n) => gzipSync(readFileSync(new URL(`assets/${n}`, dist)), { level: 9 }).length / 1024
  record('first JS and CSS, gzip', list.filter((n) => first.has(n)).reduce((sum, n) => sum + kb(n), 0), 100, 'KB', true)
  record('largest later chunk, gzip', Math.max(...list.filter((n) => !first.has(n)).map(kb)), 40, 'KB', true)
}

async function visit(browser, scenario) {
  const node = await startMock({ scenario })
  const { context, page } = await openPage(browser, `http://127.0.0.1:${node.port}`)
  await login(page, 'mock')
  await page.locator('[data-app]').first().waitFor()
  return { node, context, page }
}

async function load(browser) {
  const { node, context, page } = await visit(browser, 'many')
  await page.addInitScript(() => {
    new MutationObserver(() => {
      if (document.querySelector('[data-app]')) globalThis.__first ??= performance.now()
      if (document.querySelector('[data-app=app-199]')) globalThis.__all ??= performance.now()
    }).observe(document, { subtree: true, childList: true })
  })
  await page.reload()
  await page.waitForFunction(() => globalThis.__all)
  const times = await page.evaluate(() => ({
    fcp: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
    first: globalThis.__first,
    all: globalThis.__all,
  }))
  record('first contentful paint', times.fcp, 600, 'ms')
  record('first cards of 200 apps', times.first, 1_000, 'ms')
  record('all cards of 200 apps', times.all, 2_000, 'ms')
  await context.close()
  await node.close()
}

/** `perSecond` changes over all apps for a while; what the page makes of them. */
async function storm(browser, perSecond) {
  const { node, context, page } = await visit(browser, 'many')
  const rows = [...node.streams.apps.rows.values()].map((r) => r.row).filter((r) => r.id.startsWith('app-'))
  const cdp = await context.newCDPSession(page)
  const heap = async () => {
    await cdp.send('HeapProfiler.collectGarbage')
    return (await cdp.send('Runtime.getHeapUsage')).usedSize / 1_048_576
  }
  const before = await heap()
  // Only what is on the screen is asked how old it is: the rest catches up by itself within seconds.
  const on = await page.evaluate(() => {
    const seen = new Set([...document.querySelectorAll('[data-app]')].filter((el) => el.getBoundingClientRect().top < innerHeight))
    const state = (globalThis.__bench = { ages: [], frames: [], long: 0, last: performance.now() })
    new MutationObserver((list) => {
      for (const m of list) if (seen.has(m.target)) state.ages.push(Date.now() - Number(m.target.dataset.observed))
    }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ['data-observed'] })
    new PerformanceObserver((list) => (state.long += list.getEntries().length)).observe({ type: 'longtask' })
    const tick = (now) => {
      state.frames.push(now - state.last)
      state.last = now
      requestAnimationFrame(tick)
    }
    requestAnimationFrame(tick)
    return seen.size
  })
  const STEP_MS = 20
  const each = Math.max(1, Math.round((perSecond * STEP_MS) / 1_000))
  await new Promise((resolve) => {
    let i = 0
    const end = Date.now() + LONG * 1_000
    const timer = setInterval(() => {
      for (let n = 0; n < each; n++, i++) node.put('apps', { ...rows[i % rows.length], observed_at: Date.now(), restarts: i })
      if (Date.now() >= end) resolve(clearInterval(timer))
    }, STEP_MS)
  })
  const got = await page.evaluate(() => globalThis.__bench)
  const name = `${perSecond} changes/s over 200 apps`
  if (perSecond <= 1_000) {
    record(`${name}: change to page, p95`, p(got.ages, 0.95), 150, 'ms')
    record(`${name}: frame, p95`, p(got.frames, 0.95), 34, 'ms')
    record(`${name}: tasks over 50 ms`, got.long, 20, '', true)
  } else {
    record(`${name}: change to page, p99 (${on} cards on the screen)`, p(got.ages, 0.99), 300, 'ms')
    record(`${name}: heap grown`, Math.max(0, (await heap()) - before), 10, 'MB')
  }
  await context.close()
  await node.close()
}

sizes()
const browser = await launch()
await load(browser)
await storm(browser, 200)
await storm(browser, 10_000)
await browser.close()

let failed = false
for (const { what, value, limit, unit } of results) {
  const over = !(value <= limit)
  failed ||= over
  console.log(`${over ? 'OVER' : '  ok'}  ${`${value.toFixed(1)} ${unit}`.padStart(12)}  limit ${`${limit} ${unit}`.padEnd(8)}  ${what}`)
}
if (busy > 1) console.log(`the machine is busy (load ${loadavg()[0].toFixed(1)}): limits of time are doubled`)
process.exit(failed ? 1 : 0)
