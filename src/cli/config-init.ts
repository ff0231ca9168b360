/** A file to begin with: one model at the given endpoints, and what is often set next as comments. */
export function firstConfig(endpoints: readonly string[]): string {
  return `# What this server offers. After a change: tokenmill config check
# All settings: tokenmill config show, and docs/fleet.md

models:
  - name: chat # the name that clients ask for
    endpoints:
${endpoints.map((url) => `      - url: ${JSON.stringify(url)}`).join('\n')}
    # A model in this process instead, from a GGUF file:
    #   - { engine: embedded, model: ./model.gguf }
    # A provider, with its key from the environment:
    #   - { url: "https://api.example.com/v1", engine: openai, model: big-model, apiKey: "\${PROVIDER_KEY}" }

# Beyond this machine, with a key that \`tokenmill keys create\` makes:
# listen:
#   host: 0.0.0.0
# apiKeys:
#   - name: alice
#     hash: tmk1$…

# limits:
#   maxQueue: 128
#   maxQueueWaitMs: 30s
`
}
