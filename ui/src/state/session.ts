// Logged in or not. The session itself is a cookie that scripts cannot see.
import { shallowRef, watch } from 'vue'
import { api, type Failure } from '../api/http'
import type { AuthView, LoginRequest } from '../protocol/archy'
import { forget, recall } from './lastknown'
import { client, events } from './node'

export type Auth = 'unknown' | 'out' | 'in'

export const auth = shallowRef<Auth>('unknown')
/** Why the login page is shown though the user did not log out. */
export const expired = shallowRef(false)
/** How one gets in; null while the node has not said. */
export const way = shallowRef<AuthView | null>(null)
/** The token of the first login, for as long as a password can be set with it. */
export const setupToken = shallowRef<string | null>(null)

function enter(): void {
  auth.value = 'in'
  expired.value = false
  void recall()
  client.start()
}

function leave(): void {
  client.clear()
  events.clear()
  forget()
  setupToken.value = null
  auth.value = 'out'
}

export async function resumeSession(): Promise<void> {
  const answer = await api.session()
  if (!answer.ok && answer.error.code === 'unauthenticated') auth.value = 'out'
  else enter() // unreachable: the connection goes on trying, and says so
}

export async function askWay(): Promise<void> {
  const answer = await api.auth()
  // A node that cannot say takes its owner's token.
  way.value = answer.ok ? answer.value : { setup: true, totp: false }
}

export async function login(request: LoginRequest): Promise<Failure | null> {
  const answer = await api.login(request)
  if (!answer.ok) return answer.error
  setupToken.value = way.value?.setup ? (request.token ?? null) : null
  enter()
  return null
}

/** Sets the first password; from then on the token does not log in any more. */
export async function setPassword(password: string): Promise<Failure | null> {
  // The node ends every session and begins a new one with its answer: the connection comes back under that.
  client.stop()
  const answer = await api.setup({ token: setupToken.value ?? '', password })
  client.start()
  if (!answer.ok) return answer.error
  setupToken.value = null
  way.value = { setup: false, totp: false }
  return null
}

export async function logout(): Promise<Failure | null> {
  const answer = await api.logout()
  if (!answer.ok && answer.error.code !== 'unauthenticated') return answer.error
  client.stop()
  leave()
  return null
}

watch(client.link, (link) => {
  if (link.state !== 'unauthenticated' || auth.value !== 'in') return
  expired.value = true
  leave()
})
