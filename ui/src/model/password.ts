// What the page can say of a password before the node is asked.

/** The node has the last word; this is its rule. */
export const PASSWORD_MIN = 10

export type PasswordProblem = 'short' | 'differs'

export function problemOf(password: string, again: string): PasswordProblem | null {
  if ([...password].length < PASSWORD_MIN) return 'short'
  return password === again ? null : 'differs'
}
