"""Renders conversations through chat templates with Python's jinja2, configured as transformers does it.

Usage: python tests/support/render-templates.py FOLDER    (needs PyPI `jinja2`; writes FOLDER/rendered.json)

tests/contract/chat-templates.test.ts compares them with what Tokenmill renders where TOKENMILL_TEMPLATES names FOLDER.
"""
import json
import pathlib
import sys

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller):
        return caller()


def raise_exception(message):
    raise TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
environment.filters["tojson"] = tojson
environment.filters["from_json"] = json.loads
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda pattern: "01 Jan 2026"

folder = pathlib.Path(sys.argv[1])
conversations = json.loads((pathlib.Path(__file__).parent / "conversations.json").read_text())
rendered = {}
for file in sorted(folder.glob("*.jinja")):
    template = environment.from_string(file.read_text())
    rendered[file.name] = {}
    for name, variables in conversations.items():
        try:
            text = template.render(bos_token="<BOS>", eos_token="<EOS>", **variables)
        except Exception:
            text = None
        rendered[file.name][name] = text
(folder / "rendered.json").write_text(json.dumps(rendered, ensure_ascii=False))
print(f"{len(rendered)} templates, {len(conversations)} conversations each: {folder / 'rendered.json'}")
