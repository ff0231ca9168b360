#!/usr/bin/env node
'use strict'

// Syntax of any Node: an old one must be able to say what is missing.
const { existsSync } = require('node:fs')
const path = require('node:path')
const { pathToFileURL } = require('node:url')

const needed = 24
const found = process.versions.node

if (Number(found.split('.')[0]) < needed) {
  console.error(
    `tokenmill needs Node ${needed} or newer; this is Node ${found}. Install it from https://nodejs.org, or run it once by: npx -p node@${needed} -p tokenmill tokenmill`,
  )
  process.exitCode = 1
} else {
  // A checkout runs from its source, the package from what was built of it.
  const source = path.join(__dirname, '../src/cli/main.ts')
  const entry = existsSync(source) ? source : path.join(__dirname, '../dist/cli/main.js')
  void import(pathToFileURL(entry).href)
}
