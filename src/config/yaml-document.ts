/**
 * The configuration's text as plain values, and the line of every path in it. Anchors, aliases and merge keys are
 * resolved. Problems are worded here and never quote the text: it may hold a secret.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml'
import { type Problem, shownKey } from './problem.ts'

export interface YamlDocument {
  /** Undefined when the text is no YAML at all; `problems` then says why. */
  readonly value: unknown
  readonly problems: readonly Problem[]
  /** The line, from 1, where the path stands, or the nearest thing above it that is there. */
  lineAt(path: readonly PropertyKey[]): number
}

export function readYaml(text: string): YamlDocument {
  const lines = new LineCounter()
  try {
    // prettyErrors would quote the line it complains about.
    const document = parseDocument(text, {
      lineCounter: lines,
      merge: true,
      stringKeys: true,
      prettyErrors: false,
      logLevel: 'error',
    })
    const faults = [...document.errors, ...document.warnings]
    const open = inspectNodes(document, lines)
    const readable = open.length === 0 && faults.every((fault) => fault.code === 'DUPLICATE_KEY')
    const problems = [...faults.map((fault) => problemOf(fault, text, lines)), ...open]
    return {
      value: readable ? document.toJS() : undefined,
      problems: oncePerLine(problems),
      lineAt: (path) => lines.linePos(offsetAt(document, path)).line,
    }
  } catch {
    // Thrown by the library for alias bombs, circular aliases, merges of non-mappings; by the engine for deep nesting.
    const message = 'its aliases, merges or nesting cannot be resolved'
    return {
      value: undefined,
      problems: [{ line: 1, path: '', message, hint: 'write the values out' }],
      lineAt: () => 1,
    }
  }
}

/**
 * What the library leaves open. Only short whole numbers stay numbers: a fingerprint of digits and one E must not
 * become infinity. Aliases need an anchor before them, and not around them. `__proto__` would be dropped unseen.
 */
function inspectNodes(document: Document.Parsed, lines: LineCounter): readonly Problem[] {
  const problems: Problem[] = []
  const anchors = new Map<string, Node>()
  const report = (node: Node, message: string, hint: string) =>
    problems.push({ line: lines.linePos(node.range?.[0] ?? 0).line, path: '', message, hint })
  visit(document, {
    Node(key, node, path) {
      if (isAlias(node)) {
        const anchored = anchors.get(node.source)
        if (anchored === undefined)
          report(node, 'an alias without its anchor', 'put text that starts with * in quotes')
        else if (path.includes(anchored))
          report(node, 'an alias inside of what it stands for', 'write the values out')
        return
      }
      if (node.anchor !== undefined) anchors.set(node.anchor, node)
      if (!isScalar(node)) return
      if (key === 'key' && node.value === '__proto__')
        report(node, 'a key named __proto__', 'choose another name')
      if (typeof node.value === 'number' && !/^-?\d{1,9}$/.test(node.source ?? ''))
        node.value = node.source ?? ''
    },
  })
  return problems
}

/** One slip makes the parser stumble many times on. */
function oncePerLine(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [`${problem.line} ${problem.message}`, problem])).values()]
}

const wordings: Partial<Record<YAMLError['code'], readonly [message: string, hint: string]>> = {
  TAB_AS_INDENT: ['a tab is used as indentation', 'indent with spaces'],
  BAD_INDENT: ['the indentation does not fit the lines above', 'put keys that belong together in one column'],
  MULTIPLE_DOCS: ['a second YAML document starts here', 'keep one document in the file'],
  BAD_ALIAS: ['an alias without a name', 'put text that starts with * in quotes'],
  TAG_RESOLVE_FAILED: ['an unknown YAML tag', 'put text that starts with ! in quotes'],
  NON_STRING_KEY: ['a key that is not plain text', 'put text that starts with { or [ in quotes'],
}

function problemOf(fault: YAMLError, text: string, lines: LineCounter): Problem {
  const [offset] = fault.pos
  const line = Math.max(1, lines.linePos(offset).line)
  if (fault.code === 'DUPLICATE_KEY') {
    const key = /^["']?([^"':\n]*)/.exec(text.slice(offset, offset + 80))?.[1] ?? ''
    return {
      line,
      path: '',
      message: `the key ${shownKey(key.trim())} is written twice`,
      hint: 'keep one of the two',
    }
  }
  const [message, hint] = wordings[fault.code] ?? [
    'not well-formed YAML',
    'check the indentation, colons and quotes here',
  ]
  return { line, path: '', message, hint }
}

function offsetAt(document: Document.Parsed, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents
  let offset = document.contents?.range[0] ?? 0
  for (const step of path) {
    const parent = target(node, document)
    if (isMap(parent)) {
      const pair = findPair(parent.items, String(step), document)
      if (pair === undefined) break
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(parent) && typeof step === 'number') {
      node = parent.items[step]
      offset = startOf(node) ?? offset
    } else break
  }
  return offset
}

function findPair(pairs: readonly Pair[], key: string, document: Document.Parsed): Pair | undefined {
  const own = pairs.find((pair) => isScalar(pair.key) && pair.key.value === key)
  if (own !== undefined) return own
  for (const merge of pairs.filter((pair) => isScalar(pair.key) && pair.key.value === '<<')) {
    const merged = target(merge.value, document)
    for (const candidate of isSeq(merged) ? merged.items : [merged]) {
      const map = target(candidate, document)
      const found = isMap(map) ? findPair(map.items, key, document) : undefined
      if (found !== undefined) return found
    }
  }
  return undefined
}

function target(node: unknown, document: Document.Parsed): unknown {
  return isAlias(node) ? node.resolve(document) : node
}

function startOf(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined
}
