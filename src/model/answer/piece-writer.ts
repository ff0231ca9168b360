/** A part of an answer. Concatenated, the parts are equal however the text was cut before it came. */
export type ChatPiece =
  | TextPiece<'text'>
  | TextPiece<'reasoning'>
  | {
      readonly type: 'toolCall'
      /** Position of the call in this answer, from 0. */
      readonly call: number
      /** On the first piece of each call. */
      readonly id?: string
      readonly name?: string
      /** More of the arguments' JSON text. */
      readonly arguments: string
    }

interface TextPiece<Type extends string> {
  readonly type: Type
  readonly text: string
  /** Where it begins in the generated text, in UTF-16 units: what is left out (marks, space) lies between pieces. */
  readonly at: number
}

/**
 * Collects the pieces of one answer. White space between the parts belongs to the model's syntax, not to the answer:
 * it is held back until text follows, and dropped where a call or the end of thinking does.
 */
export class PieceWriter {
  readonly #parallel: boolean
  readonly #createCallId: () => string
  readonly #position: () => number
  #pieces: ChatPiece[] = []
  #heldSpace = ''
  /** Where the space that is held back ends in the generated text. */
  #heldEnd = 0
  #last: 'nothing' | 'reasoning' | 'text' | 'call' = 'nothing'
  #calls = 0
  #argumentsWritten = false

  /** `position`: where the reader stands, behind the text that it hands over. */
  constructor(parallel: boolean, createCallId: () => string, position: () => number) {
    this.#parallel = parallel
    this.#createCallId = createCallId
    this.#position = position
  }

  /** Whether the call being written is beyond what the request allows, and therefore dropped. */
  get #dropped(): boolean {
    return !this.#parallel && this.#calls > 1
  }

  text(text: string): void {
    this.#spaced('text', text)
  }

  reasoning(text: string): void {
    this.#spaced('reasoning', text)
  }

  /** Text as it is, white space included: what looked like a call and was none. */
  verbatim(text: string): void {
    const whole = this.#heldSpace + text.trimEnd()
    const space = text.slice(text.trimEnd().length)
    this.#add({ type: 'text', text: whole, at: this.#position() - space.length - whole.length })
    this.#heldSpace = ''
    this.#hold(space, this.#position())
    this.#last = 'text'
  }

  startCall(name: string): void {
    this.#heldSpace = ''
    this.#last = 'call'
    this.#calls += 1
    this.#argumentsWritten = false
    if (this.#dropped) return
    this.#pieces.push({ type: 'toolCall', call: this.#calls - 1, id: this.#createCallId(), name, arguments: '' })
  }

  callArguments(text: string): void {
    if (text === '') return
    this.#argumentsWritten = true
    if (!this.#dropped) this.#add({ type: 'toolCall', call: this.#calls - 1, arguments: text })
  }

  /** Arguments are never empty: a call without any has `{}`. */
  endCall(): void {
    if (!this.#argumentsWritten) this.callArguments('{}')
  }

  /** The answer is complete. Space at its end counts only where text is all there is, and no markup was dropped behind it. */
  end(dropsMarkup: boolean): void {
    if (
      !dropsMarkup &&
      (this.#last === 'text' || this.#last === 'nothing') &&
      this.#calls === 0 &&
      this.#heldSpace !== ''
    ) {
      this.#add({ type: 'text', text: this.#heldSpace, at: this.#heldEnd - this.#heldSpace.length })
    }
    this.#heldSpace = ''
  }

  /** What was written so far stood in the prompt: no piece, and no space held back, belongs to the answer. */
  forget(): void {
    this.#pieces = []
    this.#heldSpace = ''
  }

  /** The pieces since the last call. */
  drain(): readonly ChatPiece[] {
    const pieces = this.#pieces
    this.#pieces = []
    return pieces
  }

  #spaced(type: 'text' | 'reasoning', text: string): void {
    const goesOn = this.#last === type || (this.#last === 'nothing' && type === 'text')
    const body = goesOn ? text : text.trimStart()
    const trimmed = body.trimEnd()
    if (trimmed === '') {
      if (goesOn && body !== '') this.#hold(body, this.#position())
      return
    }
    const end = this.#position() - (body.length - trimmed.length)
    if (goesOn && this.#heldSpace !== '') {
      this.#add({ type, text: this.#heldSpace, at: this.#heldEnd - this.#heldSpace.length })
    }
    this.#add({ type, text: trimmed, at: end - trimmed.length })
    this.#heldSpace = ''
    this.#hold(body.slice(trimmed.length), this.#position())
    this.#last = type
  }

  #hold(space: string, end: number): void {
    this.#heldSpace += space
    this.#heldEnd = end
  }

  /** Joins neighbours of one kind, so that one push gives few pieces. */
  #add(piece: ChatPiece): void {
    const last = this.#pieces.at(-1)
    if (last?.type === 'toolCall' && piece.type === 'toolCall' && last.call === piece.call) {
      this.#pieces[this.#pieces.length - 1] = { ...last, arguments: last.arguments + piece.arguments }
    } else if (
      last !== undefined &&
      last.type !== 'toolCall' &&
      piece.type !== 'toolCall' &&
      last.type === piece.type &&
      last.at + last.text.length === piece.at
    ) {
      this.#pieces[this.#pieces.length - 1] = { ...last, text: last.text + piece.text }
    } else {
      this.#pieces.push(piece)
    }
  }
}
