import { known } from '../i18n'

/** A category in the page's language where it is a common one; else as the manifest has it. */
export function categoryName(category: string): string {
  const text = category.replace(/[_-]+/g, ' ')
  return known(`category.${category.toLowerCase()}`) ?? text.charAt(0).toUpperCase() + text.slice(1)
}
