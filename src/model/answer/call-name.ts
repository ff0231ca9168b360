/** What can be the name of a function; OpenAI allows 64 characters, models' own tools add dots. */
export function isName(text: string): boolean {
  return /^[\w.:/-]{1,128}$/.test(text)
}
