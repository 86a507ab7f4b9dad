'use strict';

module.exports = require('./iris-node');
