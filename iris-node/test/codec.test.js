'use strict';

const test = require('node:test');
const assert = require('node:assert/strict');

const { iris } = require('./support.js');

const { CodecError, ProtocolError, pack, unpack } = iris;
const LONG = 'x'.repeat(300);

/** Values, and their bytes as the msgpack of other languages writes them. */
const GOLDEN = [
  [null, 'c0'], [true, 'c3'], [false, 'c2'], [0, '00'], [127, '7f'], [128, 'cc80'], [255, 'ccff'],
  [256, 'cd0100'], [65535, 'cdffff'], [65536, 'ce00010000'], [2 ** 32 - 1, 'ceffffffff'],
  [2 ** 32, 'cf0000000100000000'], [2 ** 53 - 1, 'cf001fffffffffffff'], [-1, 'ff'], [-32, 'e0'],
  [-33, 'd0df'], [-128, 'd080'], [-129, 'd1ff7f'], [-32768, 'd18000'], [-32769, 'd2ffff7fff'],
  [-(2 ** 31), 'd280000000'], [-(2 ** 31) - 1, 'd3ffffffff7fffffff'],
  [-(2 ** 53) + 1, 'd3ffe0000000000001'], [2n ** 53n, 'cf0020000000000000'],
  [2n ** 64n - 1n, 'cfffffffffffffffff'], [-(2n ** 63n), 'd38000000000000000'],
  [1.5, 'cb3ff8000000000000'], [-0, 'cb8000000000000000'], [Infinity, 'cb7ff0000000000000'],
  [2 ** 53, 'cb4340000000000000'], ['', 'a0'], ['a', 'a161'], ['é', 'a2c3a9'],
  ['a'.repeat(31), `bf${'61'.repeat(31)}`], ['a'.repeat(32), `d920${'61'.repeat(32)}`],
  [LONG, `da012c${'78'.repeat(300)}`], ['\ufeffx', 'a4efbbbf78'], ['😀', 'a4f09f9880'],
  [Buffer.from('hi'), 'c4026869'], [Buffer.alloc(256), `c50100${'00'.repeat(256)}`],
  [[], '90'], [[1, [null]], '920191c0'], [Array(16).fill(1), `dc0010${'01'.repeat(16)}`],
  [{}, '80'], [{ a: { b: 1 } }, '81a16181a16201'], [new Map([[1, 2]]), '810102'],
];

test('values have the bytes that others write, and are read from them', () => {
  for (const [value, hex] of GOLDEN) {
    assert.equal(pack(value).toString('hex'), hex, String(value));
    assert.deepEqual(unpack(Buffer.from(hex, 'hex')), value);
  }
});

test('what others may write is read, too', () => {
  const read = (hex) => unpack(Buffer.from(hex, 'hex'));
  assert.equal(read('ca3fc00000'), 1.5);
  assert.equal(read('cf0000000000000001'), 1);
  assert.equal(read('d3ffffffffffffffff'), -1);
  assert.equal(read('d9016a'), 'j');
  assert.deepEqual(read('8201020a03'), new Map([[1, 2], [10, 3]]));
  assert.deepEqual(read('82a1610102a162'), new Map([['a', 1], [2, 'b']]));
  const own = read('81a95f5f70726f746f5f5f05');
  assert.ok(Object.hasOwn(own, '__proto__') && Object.getPrototypeOf(own) === Object.prototype);
});

test('what travels as something else is written as that', () => {
  assert.equal(unpack(pack(undefined)), null);
  assert.deepEqual(unpack(pack({ a: undefined })), { a: null });
  assert.deepEqual(unpack(pack(new Uint16Array([1, 2]))), Buffer.from([1, 0, 2, 0]));
  assert.deepEqual(unpack(pack(new Uint8Array([1, 2]).buffer)), Buffer.from([1, 2]));
  assert.deepEqual(unpack(pack(Object.assign(Object.create(null), { a: 1 }))), { a: 1 });
  assert.deepEqual(unpack(pack(require('node:vm').runInNewContext('({ a: [1] })'))), { a: [1] });
  assert.equal(unpack(pack(3n)), 3);
});

test('what cannot travel is refused, and said where it is', () => {
  const refused = (value, text) => assert.throws(() => pack(value), (error) => {
    assert.ok(error instanceof CodecError);
    assert.match(error.message, text);
    return true;
  });
  refused({ a: [1, () => {}] }, /^value\["a"\]\[1\]: a function cannot/);
  refused(new Date(), /Date/);
  refused(new Map([[1, new Set()]]), /^value\[1\]: .*Set/);
  refused(Symbol('x'), /symbol/);
  refused(2n ** 64n, /64 bits/);
  refused(-(2n ** 63n) - 1n, /64 bits/);
  refused('\ud800', /surrogates/);
  refused(`${LONG}\udc00`, /surrogates/);
  refused({ '\ud800': 1 }, /surrogates/);
  const circle = [];
  circle.push(circle);
  refused(circle, /deeper than 128/);
});

test('nests as deep as Python does, and no deeper', () => {
  const nest = (depth) => {
    let value = 1;
    for (let i = 0; i < depth; i++) value = [value];
    return value;
  };
  assert.deepEqual(unpack(pack(nest(128))), nest(128));
  assert.throws(() => pack(nest(129)), CodecError);
  const bytes = Buffer.concat([Buffer.alloc(129, 0x91), Buffer.from([1])]);
  assert.throws(() => unpack(bytes), /nested too deep/);
});

test('bytes that are no message are refused, whatever they are', () => {
  const refused = (hex) => assert.throws(() => unpack(Buffer.from(hex, 'hex')), ProtocolError, hex);
  ['', 'c1', 'c7', 'd40100', '91', 'a261', '0000', 'dd7fffffff', 'dfffffffff00', 'a1ff', 'd901ff',
    'c6ffffffff00', '819000', 'a3eda080'].forEach(refused);
  // Every beginning of a message is none, and no byte can make reading it go wrong otherwise.
  const whole = pack([1, 'text', { a: [Buffer.from('x'), 1.5, null] }, -70000, LONG]);
  for (let end = 0; end < whole.length; end++) {
    assert.throws(() => unpack(whole.subarray(0, end)), ProtocolError);
  }
  for (let i = 0; i < whole.length; i++) {
    for (const byte of [0x00, 0x7f, 0x91, 0xc1, 0xdd, 0xdf, 0xff]) {
      const changed = Buffer.from(whole);
      changed[i] = byte;
      try {
        unpack(changed);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, `${error}`);
      }
    }
  }
});

test('a value that packs another one while it is packed spoils neither', () => {
  const value = {
    first: 1,
    get second() {
      return pack(['inner', LONG]);
    },
    third: 'x',
  };
  const got = unpack(pack(value));
  assert.equal(got.third, 'x');
  assert.deepEqual(unpack(got.second), ['inner', LONG]);
  const failing = {
    get now() {
      throw new RangeError('mine');
    },
  };
  assert.throws(() => pack(failing), new RangeError('mine'));
  assert.equal(unpack(pack('after')), 'after');
});
