// @vitest-environment happy-dom
import { expect, test } from 'vitest'
import { appPath, match } from './route'

test('addresses lead to places and places have addresses', () => {
  expect(match('/')).toEqual({ page: 'apps' })
  expect(match('/tree/')).toEqual({ page: 'tree' })
  expect(match('/apps/demo')).toEqual({ page: 'app', app: 'demo', tab: 'overview' })
  expect(match(appPath('demo', 'logs'))).toEqual({ page: 'app', app: 'demo', tab: 'logs' })
  expect(match('/apps/demo/nothing')).toBe(null)
  expect(match('/apps')).toBe(null)
  expect(match('/apps/%zz')).toEqual({ page: 'app', app: '%zz', tab: 'overview' })
})
