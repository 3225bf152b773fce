// Screenshots and axe of every page against the mock: node mock/shots.mjs OUTDIR [VIEW,VIEW]
// PAGES=gate,failed writes only these pictures.
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { startMock } from './node.mjs'
import { metrics } from './rows.mjs'

const only = process.env.PAGES?.split(',')
const out = process.argv[2] ?? '/tmp/shots'
mkdirSync(out, { recursive: true })
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
let bad = 0

const VIEWS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 860 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 860 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
  { name: 'phone-dark-de', colorScheme: 'dark', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, locale: 'de-DE' },
  { name: 'wide', colorScheme: 'light', viewport: { width: 2200, height: 1200 } },
  { name: 'tablet', colorScheme: 'dark', viewport: { width: 900, height: 1000 } },
].filter((v) => process.argv[3] === undefined || process.argv[3].split(',').includes(v.name))

async function check(page, name, fullPage = true) {
  await page.mouse.move(0, 0)
  const size = page.viewportSize()
  if (fullPage) {
    // A taller window instead of a longer picture: what is fixed to its edges stays there.
    const height = await page.evaluate(() => document.documentElement.scrollHeight)
    await page.setViewportSize({ width: size.width, height: Math.max(size.height, height) })
    await page.evaluate(() => (scrollTo(0, 0), new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))))
  }
  await page.evaluate(() => document.fonts.ready)
  if (!only || only.some((x) => name.startsWith(`${x}-`))) await page.screenshot({ path: join(out, `${name}.png`), animations: 'disabled' })
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }))
  for (const v of violations) console.log(`${name}: ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + ' ' + (n.any[0]?.message ?? '')).join(' | ')}`)
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  if (wide > 0) console.log(`${name}: wider than the screen by ${wide}px`)
  bad += violations.length + (wide > 0 ? 1 : 0)
  await page.setViewportSize(size)
}

async function open(node, view) {
  const context = await browser.newContext({ baseURL: `http://127.0.0.1:${node.port}`, reducedMotion: 'reduce', serviceWorkers: 'block', ...view })
  const page = await context.newPage()
  page.on('console', (m) => m.type() === 'error' && !/401|428|ERR_CONNECTION/.test(m.text()) && (bad++, console.log(`${view.name}: console: ${m.text()}`)))
  page.on('pageerror', (e) => (bad++, console.log(`${view.name}: ${e}`)))
  return { context, page }
}
const enter = async (page) => {
  await page.getByTestId('login').locator('input').first().fill('mock')
  await page.getByTestId('login-submit').click()
}

for (const view of VIEWS) {
  const { name } = view
  const first = await startMock({ setup: true })
  const start = await open(first, view)
  await start.page.goto('/')
  await start.page.getByTestId('login').locator('input').first().fill('wrong')
  await start.page.getByTestId('login-submit').click()
  await start.page.getByTestId('error').waitFor()
  await check(start.page, `login-${name}`)
  await enter(start.page)
  await start.page.getByTestId('setup').waitFor()
  await check(start.page, `setup-${name}`)
  await start.context.close()
  await first.close()

  const node = await startMock({ scenario: 'rich', pace: 60 })
  const { context, page } = await open(node, view)
  await page.goto('/')
  await enter(page)
  await page.locator('[data-app=demo]').waitFor()
  await page.locator('[data-app=demo] [data-testid=expand]').click()
  await check(page, `apps-${name}`)
  await page.locator('[data-app=demo] [data-testid=menu]').click()
  await page.locator('[data-action=uninstall]').click()
  await page.getByTestId('confirm').waitFor()
  await check(page, `uninstall-${name}`, false)
  await page.keyboard.press('Escape')
  await page.goto('/apps/demo/data')
  await page.locator('[data-backup]').first().waitFor()
  await page.getByTestId('places').waitFor()
  await check(page, `data-${name}`)
  await page.getByTestId('restore').first().click()
  await page.getByTestId('confirm').waitFor()
  await check(page, `restore-${name}`, false)
  await page.keyboard.press('Escape')
  await page.goto('/apps/demo/config')
  await page.getByTestId('secrets').waitFor()
  await check(page, `config-${name}`)
  await page.getByTestId('update').click()
  await page.getByTestId('release-notes').waitFor()
  await check(page, `update-${name}`, false)
  await page.keyboard.press('Escape')
  await page.goto('/apps/vault')
  await page.getByTestId('needs').waitFor()
  await check(page, `unfit-${name}`)
  await page.goto('/')
  await page.locator('[data-app=wiki]').waitFor()
  await page.locator('[data-app=demo] [data-testid=menu]').click()
  await page.locator('[data-action=stop]').click()
  await page.getByTestId('undo').waitFor()
  await page.locator('[data-app=demo][data-phase=stopped]').waitFor()
  await check(page, `undo-${name}`, false)
  await page.getByTestId('undo').click()
  await page.locator('[data-app=demo][data-phase=running]').waitFor()
  node.put('ops', { ...node.streams.ops.rows.get('01RUNNING').row, late: true })
  for (const [id, shot] of [['demo', 'app'], ['music', 'late'], ['photos', 'failed'], ['mempool', 'gate'], ['chat', 'crashloop']]) {
    await page.goto(`/apps/${id}`)
    await page.locator(`[data-app-page=${id}]`).waitFor()
    if (id === 'demo') {
      await page.getByTestId('usage').waitFor()
      for (let i = 1; i <= 40; i++) {
        node.put('metrics', { ...metrics('demo', [['cache', 0.02 + (i % 7) / 90, 12 + (i % 5), 128], ['api', 0.01 + (i % 3) / 60, 6, 64], ['web', 0.04 + (i % 11) / 70, 18 + i / 9, 64]]), measured_at: Date.now() + i * 2_000 })
        await page.waitForTimeout(40) // one frame, its acknowledgement, the next
      }
    }
    await check(page, `${shot}-${name}`)
  }
  await page.goto('/apps/demo/logs?service=web')
  await page.getByTestId('log').getByText('GET /api').first().waitFor()
  node.log('logs:demo/web', ['12:00:01 INFO web: after the gap'], 214)
  await page.getByTestId('log-gap').waitFor()
  await check(page, `logs-${name}`)
  await page.goto('/apps/demo/containers')
  await page.locator('[data-container=web]').waitFor()
  await check(page, `containers-${name}`)
  await page.goto('/apps/chat/activity')
  await page.getByTestId('events').waitFor()
  await check(page, `app-activity-${name}`)
  await page.goto('/store')
  await page.locator('[data-store-app=files]').waitFor()
  await check(page, `store-${name}`)
  await page.goto('/activity')
  await page.getByTestId('events').waitFor()
  await page.locator('[data-event=child_parked] .twist').click()
  await check(page, `activity-${name}`)
  await page.goto('/node')
  await page.getByTestId('gates').waitFor()
  await page.getByTestId('node-usage').getByText('Bitcoin').waitFor()
  await check(page, `node-${name}`)
  await page.goto('/tree')
  await page.locator('[data-tree="node/stacks/demo/containers/cache"]').click()
  await check(page, `tree-${name}`, false)
  await page.goto('/settings')
  await page.getByTestId('sessions').getByText('Firefox').waitFor()
  await page.getByTestId('totp-begin').click()
  await page.locator('.qr').waitFor()
  await check(page, `settings-${name}`)
  await page.goto('/')
  await page.locator('[data-app=demo]').waitFor()
  await page.keyboard.press('Control+k')
  await page.getByTestId('palette').waitFor()
  await page.keyboard.type('de')
  await check(page, `palette-${name}`, false)
  await page.keyboard.press('Escape')
  await page.getByTestId('palette').waitFor({ state: 'detached' })
  await page.keyboard.press('?')
  await page.getByTestId('keys').waitFor()
  await check(page, `shortcuts-${name}`, false)
  await page.keyboard.press('Escape')
  await page.getByTestId('keys').waitFor({ state: 'detached' })
  await page.getByTestId('tray').click()
  await check(page, `tray-${name}`, false)
  await page.keyboard.press('Escape')
  await node.close()
  await page.locator('[data-link=reconnecting]').waitFor()
  await check(page, `away-${name}`)
  await context.close()
}
for (const scenario of process.argv[3] || only ? [] : ['empty', 'scanning', 'loading']) {
  const node = await startMock({ scenario })
  const { context, page } = await open(node, { name: scenario, viewport: { width: 1000, height: 640 } })
  await page.goto('/')
  await enter(page)
  await page.getByTestId(scenario).waitFor()
  await check(page, `${scenario}-light`)
  await context.close()
  await node.close()
}
await browser.close()
console.log(bad ? `${bad} problems` : 'no problems')
process.exit(bad ? 1 : 0)
