'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const path = require('node:path');

const { PACKAGE, iris } = require('./support.js');

/** The values that index.d.ts exports, and the members of its classes. */
function declared() {
  const lines = readFileSync(path.join(PACKAGE, 'index.d.ts'), 'utf8').split('\n');
  const values = new Set();
  const classes = new Map();
  let members = null;
  for (const line of lines) {
    const value = /^export (?:declare )?(?:abstract )?(class|const|function) (\w+)/.exec(line);
    if (value !== null) {
      values.add(value[2]);
      if (value[1] === 'class') {
        const own = new Set();
        classes.set(value[2], own);
        if (!line.endsWith('}')) members = own;
      }
      continue;
    }
    if (line === '}') members = null;
    if (members === null) continue;
    const member = /^ {2}(?:(?:private|protected|readonly|get) )*(?:(\w+)|\[Symbol\.(\w+)\])\s*[(<:?]/.exec(line);
    if (member !== null) members.add(member[1] ?? `@@${member[2]}`);
  }
  return { values, classes };
}

/** The members that instances of a class have by it. */
function present(type) {
  const keys = Reflect.ownKeys(type.prototype).flatMap((key) => {
    if (typeof key === 'string') return [key];
    const known = /^(?:Symbol\()?(?:Symbol\.|nodejs\.)(asyncIterator|asyncDispose|toPrimitive)/.exec(key.description);
    return known === null ? [] : [`@@${known[1]}`];
  });
  return new Set(keys.filter((key) => !key.startsWith('_')));
}

/** Members that only the layer below the class has, which users see as one class. */
function inherited(type) {
  const names = new Set();
  for (let at = type; at !== Function.prototype && at !== Error; at = Object.getPrototypeOf(at)) {
    for (const name of present(at)) names.add(name);
  }
  return names;
}

const sorted = (names) => [...names].sort();

test('what the package exports, and what it declares, are the same', async () => {
  const { values } = declared();
  assert.deepEqual(sorted(Object.keys(iris)), sorted(values));
  const module = await import('../index.mjs');
  assert.deepEqual(sorted(Object.keys(module)), sorted([...values, 'default']));
  for (const name of values) assert.equal(module[name], iris[name], name);
});

test('so are the members of its classes', () => {
  const { classes } = declared();
  assert.ok(classes.get('NodeRuntime').size > 60);
  for (const name of ['NodeRuntime', 'Mailbox', 'Ref', 'Actor']) {
    const has = inherited(iris[name]);
    has.add('constructor');
    const says = classes.get(name);
    says.add('constructor');
    // These two are for the runtime alone.
    for (const own of name === 'Mailbox' ? ['look', 'close'] : []) has.delete(own);
    assert.deepEqual(sorted(has), sorted(says), name);
  }
});

test('so are the fields of system messages and of errors, and who they are derived from', () => {
  const { classes } = declared();
  const fields = (value) => sorted([...Object.keys(value), 'constructor']);
  assert.deepEqual(fields(new iris.SystemMessage({ typeName: 'EXIT' })), sorted(classes.get('SystemMessage')));
  assert.deepEqual(fields(new iris.RemoteError('E', 'x')), sorted(classes.get('RemoteError')));
  assert.deepEqual(fields(new iris.RejectedError('x', Buffer.alloc(0))), sorted(classes.get('RejectedError')));
  for (const [name, type] of Object.entries(iris)) {
    if (!/^[A-Z].*(Error|Closed|Timeout|Traceback)$/.test(name)) continue;
    assert.ok(type === iris.IrisError || type.prototype instanceof iris.IrisError, name);
    assert.equal(new type('x', 'y').name, name === 'AskTimeout' ? 'AskTimeoutError' : name);
  }
});
