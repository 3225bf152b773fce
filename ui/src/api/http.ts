// The few things that go over HTTP: who may, commands, and old pages of the journal. State never does.
import type {
  ApiError, AppFacts, AuthView, BackupView, Command, CommandAccepted, ErrorCode, EventPage, LoginRequest, PasswordRequest, SessionView, SetupRequest,
  TokenCreated, TokenRequest, TokenView, TotpSecret,
} from '../protocol/archy'

/** `unreachable`: no answer, or none of ours; whether the node acted is not known. */
export interface Failure extends Omit<ApiError, 'code'> {
  readonly code: ErrorCode | 'unreachable'
  readonly status: number
}

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Failure }

const BASE = '/api/v1'

function failure(status: number, body: unknown): Failure {
  const given = (typeof body === 'object' && body !== null ? body : {}) as Partial<ApiError>
  const code = given.code ?? (status === 401 ? 'unauthenticated' : status === 0 || status >= 502 ? 'unreachable' : 'internal')
  return {
    status,
    code,
    message: given.message ?? '',
    hint: given.hint ?? null,
    op_id: given.op_id ?? null,
    problems: given.problems ?? [],
    ...(given.confirm ? { confirm: given.confirm } : {}),
  }
}

export async function request<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown, headers?: HeadersInit): Promise<Result<T>> {
  let response: Response
  try {
    response = await fetch(BASE + path, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      headers: body === undefined ? { ...headers } : { 'Content-Type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch {
    return { ok: false, error: failure(0, null) }
  }
  const parsed: unknown = await response.json().catch(() => null)
  if (response.ok) return { ok: true, value: parsed as T }
  return { ok: false, error: failure(response.status, parsed) }
}

export const api = {
  auth: () => request<AuthView>('GET', '/auth'),
  setup: (body: SetupRequest) => request<null>('POST', '/setup', body),
  session: () => request<{ ok: boolean }>('GET', '/session'),
  login: (body: LoginRequest) => request<null>('POST', '/login', body),
  logout: () => request<null>('POST', '/logout'),
  password: (body: PasswordRequest) => request<null>('POST', '/password', body),
  totp: () => request<TotpSecret>('POST', '/totp'),
  totpConfirm: (code: string) => request<null>('POST', '/totp/confirm', { code }),
  totpOff: (code: string) => request<null>('DELETE', '/totp', { code }),
  sessions: () => request<SessionView[]>('GET', '/sessions'),
  endSession: (id: string) => request<null>('DELETE', `/sessions/${encodeURIComponent(id)}`),
  tokens: () => request<TokenView[]>('GET', '/tokens'),
  makeToken: (body: TokenRequest) => request<TokenCreated>('POST', '/tokens', body),
  endToken: (id: string) => request<null>('DELETE', `/tokens/${encodeURIComponent(id)}`),
  facts: (app: string) => request<AppFacts>('GET', `/apps/${encodeURIComponent(app)}/manifest`),
  backups: (app: string) => request<BackupView[]>('GET', `/apps/${encodeURIComponent(app)}/backups`),
  events: (before: number, limit: number) => request<EventPage>('GET', `/events?before=${before}&limit=${limit}`),
  command: (command: Command, key: string, confirm?: string) =>
    request<CommandAccepted>('POST', '/commands', command, {
      'Idempotency-Key': key,
      ...(confirm ? { 'Confirm-Token': confirm } : {}),
    }),
}

/** A version 4 UUID. `crypto.randomUUID` is missing on plain-http LAN addresses, where most nodes live. */
export function uuid(bytes: Uint8Array = crypto.getRandomValues(new Uint8Array(16))): string {
  const b = Uint8Array.from(bytes)
  b[6] = ((b[6] ?? 0) & 0x0f) | 0x40
  b[8] = ((b[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
