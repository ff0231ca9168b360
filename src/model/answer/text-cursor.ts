/**
 * Text that arrives in pieces, read forwards. The readers of answers are generators over it: they `yield` when they
 * cannot go on without more, and decide by what the text is, never by where it was cut. So every cut gives the same
 * result.
 *
 *   |── taken ──|── rest ──|  more may follow, until `ended`
 *       ^ mark: text from here is kept, to be given back by `since`
 */
export class TextCursor {
  #kept = ''
  /** Length of the part of `#kept` that is taken. */
  #at = 0
  #marked = false
  #ended = false
  #cut = false
  #dropsMarkup = false
  #position = 0

  /** What has arrived and is not taken yet. */
  get rest(): string {
    return this.#at === 0 ? this.#kept : this.#kept.slice(this.#at)
  }

  /** Nothing more will arrive. */
  get ended(): boolean {
    return this.#ended
  }

  /** The text has ended before the model ended it: at a token limit, or at a stop text. */
  get cut(): boolean {
    return this.#cut
  }

  /** An unfinished mark or call at the end was dropped. */
  get dropsMarkup(): boolean {
    return this.#dropsMarkup
  }

  /** How much was taken so far, in UTF-16 units from the beginning of the text. */
  get position(): number {
    return this.#position
  }

  feed(text: string): void {
    this.#kept += text
  }

  end(cut: boolean): void {
    this.#ended = true
    this.#cut = cut
  }

  /** Takes the unfinished mark or call at the end, which is none of the answer. */
  drop(): void {
    this.take(this.rest.length)
    this.#dropsMarkup = true
  }

  take(length: number): string {
    const taken = this.#kept.slice(this.#at, this.#at + length)
    this.#at += taken.length
    this.#position += taken.length
    if (!this.#marked) this.#forget()
    return taken
  }

  /** Keeps what is taken from here on, until `since`. */
  mark(): void {
    this.#forget()
    this.#marked = true
  }

  /** The text taken since `mark`, which ends with this call. */
  since(): string {
    const text = this.#kept.slice(0, this.#at)
    this.#marked = false
    this.#forget()
    return text
  }

  #forget(): void {
    this.#kept = this.#kept.slice(this.#at)
    this.#at = 0
  }
}

/** A reader that may have to wait for more text. */
export type Reading<T> = Generator<undefined, T, undefined>

/**
 * Takes text up to the first of the marks, hands it to `emit` as it comes, and takes the mark. Returns the mark, or
 * undefined at the end of the text. No mark may be the beginning of another.
 */
export function* readUntil(
  cursor: TextCursor,
  marks: readonly string[],
  emit: (text: string) => void,
): Reading<string | undefined> {
  for (;;) {
    const { rest } = cursor
    const found = firstOf(rest, marks)
    if (found !== undefined) {
      emit(cursor.take(found.at))
      return cursor.take(found.mark.length)
    }
    const heldBack = cursor.ended ? cutOff(cursor, marks) : Math.max(...marks.map((mark) => beginningAtEnd(rest, mark)))
    emit(cursor.take(rest.length - heldBack))
    if (cursor.ended) {
      if (heldBack > 0) cursor.drop()
      return undefined
    }
    yield
  }
}

/** Takes white space. */
export function* skipSpace(cursor: TextCursor): Reading<void> {
  for (;;) {
    const { rest } = cursor
    const length = rest.length - rest.trimStart().length
    cursor.take(length)
    if (length < rest.length || cursor.ended) return
    yield
  }
}

/** Whether the text goes on with `mark`; takes it if so. */
export function* tryTake(cursor: TextCursor, mark: string): Reading<boolean> {
  for (;;) {
    const { rest } = cursor
    if (rest.startsWith(mark)) {
      cursor.take(mark.length)
      return true
    }
    if (cursor.ended || !mark.startsWith(rest)) return false
    yield
  }
}

/** The next character, not taken; undefined at the end. */
export function* peek(cursor: TextCursor): Reading<string | undefined> {
  while (cursor.rest === '' && !cursor.ended) yield
  return cursor.rest[0]
}

/** Length of the mark that a cut left unfinished at the end: at least half of one, or it may as well be text. */
function cutOff({ cut, rest }: TextCursor, marks: readonly string[]): number {
  if (!cut) return 0
  const lengths = marks.map((mark) => {
    const length = beginningAtEnd(rest, mark)
    return 2 * length >= mark.length ? length : 0
  })
  return Math.max(0, ...lengths)
}

function firstOf(text: string, marks: readonly string[]): { at: number; mark: string } | undefined {
  let first: { at: number; mark: string } | undefined
  for (const mark of marks) {
    const at = text.indexOf(mark)
    if (at >= 0 && (first === undefined || at < first.at)) first = { at, mark }
  }
  return first
}

/** How many characters at the end of the text may be the beginning of the mark. */
function beginningAtEnd(text: string, mark: string): number {
  for (let length = Math.min(text.length, mark.length - 1); length > 0; length -= 1) {
    if (text.endsWith(mark.slice(0, length))) return length
  }
  return 0
}
