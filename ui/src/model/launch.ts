// Where an app's interface is opened: on the host that this page itself was reached at.
import type { LaunchUrl } from '../protocol/archy'

/** Null for anything but a web address: what an app's manifest says must never run as a script of this page. */
export function launchHref(launch: LaunchUrl, hostname: string): string | null {
  if (launch.url !== undefined) return /^https?:\/\//.test(launch.url) ? launch.url : null
  if (launch.scheme !== 'http' && launch.scheme !== 'https') return null
  if (!Number.isInteger(launch.port) || launch.port < 1 || launch.port > 65_535) return null
  const path = launch.path.startsWith('/') ? launch.path : `/${launch.path}`
  return `${launch.scheme}://${hostname}:${launch.port}${path}`
}
