import { parseJson, type Reply } from './judge.ts'
import type { Message } from './messages.ts'

/** A model behind the OpenAI API. */
export interface Endpoint {
  /** Without `/v1`: `http://127.0.0.1:8080`. */
  readonly url: string
  readonly model: string
}

export interface Sampling {
  readonly temperature: number
  readonly n: number
  readonly seed: number
}

const maxTokens = 320

/** `n` answers to one dialogue. Throws with the body where the endpoint does not say 200. */
export async function ask(
  { url, model }: Endpoint,
  request: { readonly messages: readonly Message[]; readonly tools?: readonly unknown[] },
  sampling: Sampling,
): Promise<Reply[]> {
  const body = await post(`${url}/v1/chat/completions`, { model, ...request, ...sampling, max_tokens: maxTokens })
  const { choices } = body as { choices: readonly { readonly message: ApiMessage }[] }
  return choices.map(({ message }) => ({
    text: message.content ?? '',
    calls: (message.tool_calls ?? []).map((call) => ({
      name: call.function.name,
      arguments: parseJson(call.function.arguments),
    })),
  }))
}

interface ApiMessage {
  readonly content: string | null
  readonly tool_calls?: readonly { readonly function: { readonly name: string; readonly arguments: string } }[]
}

/** Natural-log probabilities of an answer's tokens, given the dialogue before it. */
export async function logprobsOf(
  { url, model }: Endpoint,
  request: { readonly messages: readonly Message[]; readonly tools?: readonly unknown[] },
  answer: string,
): Promise<readonly number[]> {
  // As tokens: in a text, the marks of the chat template would be read as plain characters.
  const tokenize = async (body: object) =>
    (await post(`${url}/tokenize`, { model, ...body })) as { readonly tokens: readonly number[] }
  const [dialogue, said] = [await tokenize(request), await tokenize({ prompt: answer, add_special_tokens: false })]
  const { choices } = (await post(`${url}/v1/completions`, {
    model,
    prompt: [...dialogue.tokens, ...said.tokens],
    echo: true,
    logprobs: 0,
    max_tokens: 0,
  })) as { choices: readonly { readonly logprobs?: { readonly token_logprobs: readonly (number | null)[] } }[] }
  const logprobs = choices[0]?.logprobs?.token_logprobs.slice(-said.tokens.length)
  if (logprobs === undefined) throw new TypeError(`${url} gives no log-probabilities of a prompt.`)
  return logprobs.filter((value) => value !== null)
}

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`)
  return response.json()
}
