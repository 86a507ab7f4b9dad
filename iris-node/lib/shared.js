'use strict';

/**
 * Where the classes that a runtime is made of find what they share: `core`, which is the native
 * side, `lane`, and `promises` that the native side settles. The last of them has it.
 */
const SHARED = Symbol('iris.shared');

module.exports = { SHARED };
