// Who may, as the mock node answers it: one owner, some sessions, some tokens.
const DAY = 86_400_000

export function account({ setup, totp }) {
  const now = Date.now()
  const way = { setup, totp }
  let sessions = [
    { id: 's1', created_at: now - DAY, seen_at: now, expires_at: now + 29 * DAY, address: '192.168.1.20', agent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36', current: true },
    { id: 's2', created_at: now - 6 * DAY, seen_at: now - 2 * 3_600_000, expires_at: now + 24 * DAY, address: '192.168.1.34', agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1', current: false },
    { id: 's3', created_at: now - 20 * DAY, seen_at: now - 3 * DAY, expires_at: now + 10 * DAY, address: '10.8.0.2', agent: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0', current: false },
  ]
  let tokens = [
    { id: 't1', name: 'Backup script', scope: 'operate', created_at: now - 40 * DAY, used_at: now - 3_600_000, expires_at: now + 50 * DAY },
    { id: 't2', name: 'Wall display', scope: 'read', created_at: now - 9 * DAY, used_at: null, expires_at: null },
  ]
  const refused = (message) => [401, { code: 'unauthenticated', message, hint: null, op_id: null, problems: [] }]

  function answer(method, path, body) {
    const given = body ? JSON.parse(body) : {}
    const [, what, id] = path.split('/')
    switch (`${method} /${what}${id ? '/:' : ''}`) {
      case 'GET /sessions':
        return [200, sessions]
      case 'DELETE /sessions/:':
        sessions = sessions.filter((s) => s.id !== id)
        return [200, null]
      case 'GET /tokens':
        return [200, tokens]
      case 'POST /tokens': {
        const view = { id: `t${tokens.length + 1}`, name: given.name, scope: given.scope, created_at: now, used_at: null, expires_at: given.days ? now + given.days * DAY : null }
        tokens = [...tokens, view]
        return [200, { token: 'archy_mock_0123456789abcdef0123456789abcdef', view }]
      }
      case 'DELETE /tokens/:':
        tokens = tokens.filter((x) => x.id !== id)
        return [200, null]
      case 'POST /setup':
        if (given.token !== 'mock') return refused('This is not the node’s token.')
        way.setup = false
        return [200, null]
      case 'POST /password':
        return given.current === 'mock' ? [200, null] : refused('The present password is another.')
      case 'POST /totp':
        return [200, { secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP', uri: 'otpauth://totp/Archipelago:owner?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Archipelago' }]
      case 'POST /totp/:':
      case 'DELETE /totp':
        if (given.code !== '123456') return refused('This code is not right.')
        way.totp = method === 'POST'
        return [200, null]
      default:
        return null
    }
  }
  const admits = (given) => (way.setup ? given.token === 'mock' : given.password === 'mock' && (!way.totp || given.code === '123456'))
  return { way, answer, admits }
}
