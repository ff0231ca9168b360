import type { Product } from './product.ts'

/** What a browser sees at `/`. Names no model and no address: it is open to whoever reaches the port. */
export function frontPage({ version }: Pick<Product, 'version'>): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Tokenmill</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
pre { padding: .8rem; overflow-x: auto; background: color-mix(in srgb, currentColor 8%, transparent); border-radius: 6px }
</style>
</head>
<body>
<h1>Tokenmill ${version}</h1>
<p>An OpenAI-compatible API is at <code>/v1</code> of this address: it is the base URL of your client.</p>
<pre>curl -d '{"model": "…", "messages": [{"role": "user", "content": "Hello!"}]}' \\
  -H 'content-type: application/json' …/v1/chat/completions</pre>
<ul>
<li><a href="/v1/models">/v1/models</a>: the models by name</li>
<li><a href="/v1/health/ready">/v1/health/ready</a>: can it serve now?</li>
<li><a href="/metrics">/metrics</a>: for Prometheus</li>
</ul>
<p>Where keys are set, all but health needs one: <code>Authorization: Bearer …</code></p>
</body>
</html>
`
}
