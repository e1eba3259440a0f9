// Compiles nhsuk.scss and leaves out every rule that no page can use: build.mjs FILE.
// A rule stays when its classes occur in our templates and scripts, or in the macro of a component that nhsuk.scss names;
// of the components in WRITTEN_OUT our templates write the markup themselves, and no page is dark or a patient's.
import { readFileSync, writeFileSync } from 'node:fs'
import { PurgeCSS } from 'purgecss'
import { compile } from 'sass'

const WRITTEN_OUT = ['card', 'panel', 'tables']
const NEVER = /--(reverse|brand|login|small|clickable|feature|warning|no-actions)/
// Classes that macros put together from parts, which no template spells out.
const PUT_TOGETHER = [/^nhsuk-label--[sm]$/, /^nhsuk-input-wrapper__(prefix|suffix)$/]
// A rule that loads a picture; theirs are not served.
const LOADS = /[^{}]*\{[^{}]*url\([^{}]*\}/g
const source = readFileSync('nhsuk.scss', 'utf8')
const components = [...source.matchAll(/nhsuk\/components\/([a-z-]+)/g)].map(([, name]) => name)
const { css } = compile('nhsuk.scss', { style: 'compressed', charset: false, quietDeps: true, loadPaths: ['node_modules'] })
const [kept] = await new PurgeCSS().purge({
  content: [
    '../templates/**/*.html',
    '../static/*.js',
    ...[...components.filter((name) => !WRITTEN_OUT.includes(name)), 'legend', 'heading', 'caption'].map(
      (name) => `node_modules/nhsuk-frontend/dist/nhsuk/components/${name}/**/*.njk`
    )
  ],
  css: [{ raw: css }],
  blocklist: [NEVER],
  safelist: [...PUT_TOGETHER],
  variables: true
})
writeFileSync(
  process.argv[2],
  '/* NHS.UK frontend 10.6.1, MIT licence: see LICENSE-nhsuk-frontend.txt. Built by cds_service/web/frontend/build.sh. */\n' +
    kept.css.replaceAll(LOADS, '').trim() + '\n'
)
