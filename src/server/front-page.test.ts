import { describe, expect, it } from 'vitest'
import { ScriptedEngine } from '../../tests/scripted/engine.ts'
import { startTestServer } from '../../tests/scripted/server.ts'

describe('GET /', () => {
  it('answers with a page that says where the API is, to whoever asks', async () => {
    const server = await startTestServer(new ScriptedEngine(), { apiKey: ['k-123456'] })
    try {
      const answer = await fetch(`${server.url}/`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toContain('text/html')
      const page = await answer.text()
      expect(page).toContain('/v1/models')
      expect(page).not.toContain('scripted')
      expect((await fetch(`${server.url}/v1/models`)).status).toBe(401)
    } finally {
      await server.close(AbortSignal.abort())
    }
  })
})
