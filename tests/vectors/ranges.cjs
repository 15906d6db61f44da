// What npm itself says about versions and ranges.  Writes the vectors that test_reference.py reads:
//
//     node tests/vectors/ranges.cjs > tests/vectors/ranges.json
//
// node-semver is taken from the npm that comes with node.  The output is the same every time (for one node-semver).
// Left out, because modelvault differs on purpose (the docstring of modelvault/reference.py says how):
// a leading v, build metadata, upper case in pre-releases, `==` and `~>`, an empty range or alternative, a number or a
// pre-release after an x, and two places where npm simplifies a range before it looks at pre-releases:
// `* || ^1.0.0-rc.1` becomes `*`, and `>=0.0.0` becomes `*` even beside a bound such as `<0.0.0-rc.1`.
'use strict'

const { execFileSync } = require('node:child_process')
const { join } = require('node:path')

const root = execFileSync('npm', ['root', '--global'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
const home = join(root, 'npm', 'node_modules', 'semver')
const semver = require(home)

let state = 20261101
const below = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * n)
}
const pick = (...choices) => choices[below(choices.length)]

const PRERELEASES = ['0', '1', '2', '10', '1.0', 'alpha', 'alpha.1', 'alpha.beta', 'beta', 'beta.2', 'beta.11', 'rc.1', 'rc-1', '-', '0a']
const prerelease = () => `-${pick(...PRERELEASES)}`
const digit = () => pick(0, 0, 1, 1, 2, 3, 10)
const triple = () => `${digit()}.${digit()}.${digit()}`
const full = () => pick(triple, triple, () => pick('0.0.1', '0.1.0', '1.0.0', '1.2.0', '2.0.0', triple()) + prerelease())()
const x = () => pick('x', 'X', '*')
const partial = () => pick(
  full, full, full,
  () => `${digit()}`,
  () => `${digit()}.${digit()}`,
  () => `${digit()}.${digit()}.${x()}`,
  () => `${digit()}.${x()}`,
  () => `${digit()}.${x()}.${x()}`,
  x,
)()
const sign = () => pick('', '=', '>', '>=', '<', '<=', '^', '~') + pick('', '', '', ' ')
const term = () => { const s = sign(); return (s.trim() && s) + partial() }
const terms = () => Array.from({ length: pick(1, 1, 1, 2, 2, 3) }, term).join(pick(' ', ' ', '  '))
const alternative = () => (below(5) ? terms() : `${partial()} - ${partial()}`)
const range = () => Array.from({ length: pick(1, 1, 1, 2, 3) }, alternative).join(pick('||', ' || '))

const simplified = (text) => {
  const parts = text.split('||').map((part) => part.trim())
  const any = (part) => new semver.Range(part).range === ''
  return (parts.length > 1 && parts.some(any)) || parts.some((part) => part.includes(' ') && part.includes('0.0.0-'))
}

const versions = () => {
  const found = new Set(['999999999999999.0.0', '1.0.999999999999999', '1.9.0', '1.11.0', '20.0.0'])
  for (const M of [0, 1, 2]) for (const m of [0, 1, 2]) for (const p of [0, 1, 2]) found.add(`${M}.${m}.${p}`)
  for (const p of PRERELEASES) found.add(`1.0.0-${p}`)
  for (const t of ['0.0.1', '0.1.0', '1.2.0', '2.0.0']) for (const p of ['0', '2', 'alpha.1', 'beta.2', 'rc.1']) found.add(`${t}-${p}`)
  while (found.size < 120) found.add(full())
  return [...found].sort(semver.compare)
}

const ranges = (pool) => {
  const found = new Set()
  const written = ['*', '^*', '~*', '>=*', '<=*', '>*', '<*', '0', '^0', '^0.0', '^0.0.x', '~0', '* - *', '1 - *', '* - 1.2', '<1.2 ^1.2 || 2',
    '<1.2 >=1.2.0-0', '<2 >=2.0.0-0', '<=1.1 >=1.2.0-0', '<=1 >=2.0.0-0', '^1.1.0 >=2.0.0-0', '~1.1 >=1.2.0-0', '>1.1 <1.2.0-rc.1', '1.1 >=1.2.0-0', '1 >=2.0.0-0']
  for (const text of written) found.add(text)
  // Every sign before every kind of version.
  for (const s of ['', '=', '>', '>=', '<', '<=', '^', '~']) {
    for (const v of ['0.0.2', '0.1.2', '1.2.0', '1.1.1', '1.0.0-beta', '0.1.0-alpha.1', '0.0.1-0', '1', '1.x', '1.2', '1.2.x', '0.1', '1.*.*']) found.add(s + v)
  }
  while (found.size < 1000) {
    const text = range()
    if (!simplified(text)) found.add(text)
  }
  const admitted = (text) => pool.flatMap((version, at) => (semver.satisfies(version, text) ? [at] : []))
  return [...found].map((text) => {
    if (semver.validRange(text) === null) throw new Error(`not a range: ${text}`)
    return [text, admitted(text)]
  })
}

const MALFORMED = [
  'latest', 'prod', '1.2.3.4', '01.2.3', '1.02', '1.2.03', '1.2.3-', '1.2.3-01', '1.2.3-a..b', '1..2', '1.', '.1', '-', '^', '~', '>', '>=', '<=',
  '>>1', '=>1', '=<1', '!1', '!=1.2', '^^1', '~^1', '^~1', '><1', '<>1', '1.2-1.4', '1.2.3 -1.4', '1.2.3- 1.4', '1 - 2 - 3', '- 1', '1 -', '^1 - 2',
  '1 - ^2', '1,2', '>=1.2, <2', '>=1.2,<2', '1 | 2', '1 ||| 2', '1 && 2', '1 and 2', '1/2', 'y', 'x.y', '1.y', '(1)', '[1,2)', '1.2.3_4', '1.2.3-é', '１.2.3',
  '**', '*.', '1.2.3 latest', '^1 || latest', '1.2-rc', '1-rc', '0x1', '1e3', '--1',
]
for (const text of MALFORMED) if (semver.validRange(text) !== null) throw new Error(`a range after all: ${text}`)

const pool = versions()
const levels = ['major', 'minor', 'patch']
const grown = pool.filter((version) => !version.includes('999'))
const inc = grown.map((version) => [version, levels.map((level) => semver.inc(version, level))])

const rows = (list) => `[\n${list.map((row) => JSON.stringify(row)).join(',\n')}\n]`
process.stdout.write(`{
"source": "node-semver ${require(join(home, 'package.json')).version}",
"versions": ${JSON.stringify(pool)},
"ranges": ${rows(ranges(pool))},
"malformed": ${JSON.stringify(MALFORMED)},
"inc": ${rows(inc)}
}
`)
