// Screenshots for the documentation, of a real node with the demo app: SCREENSHOTS=docs/ui node --test tests/ui/screens.test.mjs
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertNobodyThere, killContainer, RealNode, sweep } from './support/node.mjs'
import { choose, launch, openPage, VIEWS } from './support/page.mjs'

const CONTAINERS = ['demo-cache', 'demo-api', 'demo-web']
const out = process.env.SCREENSHOTS

test('screens', { skip: !out && 'set SCREENSHOTS to a folder', timeout: 600_000 }, async (t) => {
  await mkdir(out, { recursive: true })
  await assertNobodyThere(CONTAINERS)
  const node = await RealNode.make()
  await node.start()
  const browser = await launch()
  t.after(async () => {
    await browser.close()
    await node.remove()
    await sweep(CONTAINERS)
  })
  const pages = {}
  const each = async (run) => {
    for (const [view, page] of Object.entries(pages)) await run(page, view)
  }
  /** The whole page: a taller window, so that what is fixed to its edges stays there. */
  const shoot = (name, whole = true) =>
    each(async (page, view) => {
      const size = page.viewportSize()
      await page.mouse.move(0, 0)
      // What is pushed meanwhile may make it longer still.
      for (let height = 0, next = size.height; whole && next > height; ) {
        height = next
        await page.setViewportSize({ width: size.width, height })
        next = await page.evaluate(() => document.documentElement.scrollHeight)
      }
      await page.evaluate(() => document.fonts.ready)
      await page.screenshot({ path: join(out, `${name}-${view}.png`), animations: 'disabled' })
      await page.setViewportSize(size)
    })
  const visit = (path, there) =>
    each(async (page) => {
      await page.goto(path)
      await page.locator(there).first().waitFor()
    })

  for (const [view, options] of Object.entries(VIEWS)) {
    pages[view] = (await openPage(browser, node.url, { ...options, deviceScaleFactor: view === 'phone' ? 2 : 1, reducedMotion: 'reduce' })).page
    await pages[view].goto('/')
    await pages[view].getByTestId('token').waitFor()
  }
  await shoot('login')
  await each(async (page) => {
    await page.getByTestId('token').fill(node.token)
    await page.getByTestId('login-submit').click()
    await page.getByTestId('setup').waitFor()
  })
  await shoot('setup')
  await each((page) => page.getByTestId('setup-later').click())
  await each((page) => page.getByTestId('empty').waitFor())
  await shoot('empty')
  await visit('/store', '[data-store-app="demo"]')
  await shoot('store')
  await visit('/apps/demo', '[data-app-page=demo] ~ * [data-testid=needs]')
  await shoot('before')
  await pages.light.getByTestId('primary-install').click()
  await each((page) => page.locator('[data-testid=progress] [data-stage-state="running"]').first().waitFor({ timeout: 60_000 }))
  await shoot('install')
  await each((page) => page.locator('[data-app-page="demo"][data-phase="running"]').waitFor({ timeout: 120_000 }))
  await killContainer('demo-cache')
  await each((page) => page.getByText('137').first().waitFor())
  await each((page) => page.locator('[data-app-page="demo"][data-phase="running"]').waitFor({ timeout: 60_000 }))
  await shoot('app')
  await visit('/', '[data-app="demo"][data-phase="running"]')
  await each((page) => page.locator('[data-app="demo"] [data-testid=expand]').click())
  await shoot('apps')
  await visit('/apps/demo/logs?service=cache', '[data-testid=log] .line')
  await shoot('logs', false)
  await visit('/apps/demo/containers', '[data-container=web]')
  await shoot('containers')
  await visit('/apps/demo/data', '[data-testid=places]')
  await each((page) => page.getByTestId('backups').waitFor())
  await shoot('data')
  await visit('/apps/demo/config', '[data-testid=secrets] li')
  await shoot('config')
  await visit('/activity', '[data-testid=events] [data-event]')
  await each((page) => page.locator('[data-event]', { hasText: '137' }).first().locator('.twist').click())
  await shoot('activity')
  await visit('/node', '[data-node=engine][data-ok=true]')
  await shoot('node')
  await visit('/tree?path=node/stacks/demo/containers/cache', '[role=treeitem][data-tree*="cache"]')
  await each((page) => page.locator('[role=treeitem][data-tree*="cache"]').first().click())
  await shoot('tree', false)
  await visit('/settings', '[data-testid=sessions] li')
  await shoot('settings')
  await visit('/', '[data-app="demo"]')
  await choose(pages.light, 'demo', 'uninstall')
  await each(async (page, view) => {
    if (view !== 'light') await choose(page, 'demo', 'uninstall')
    await page.getByTestId('confirm').waitFor()
  })
  await shoot('uninstall', false)
  await pages.light.getByTestId('confirm-yes').click()
  await pages.light.getByTestId('empty').waitFor({ timeout: 120_000 })
})
