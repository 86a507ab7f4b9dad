"""What is measured: plain functions, which each contestant compiles in its own way."""

from __future__ import annotations

import math


def magnitude(x, y, z):
    return math.sqrt(x * x + y * y + z * z)


def normal(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def black_scholes(s, k, t):
    r = 0.02
    v = 0.3
    root = v * math.sqrt(t)
    d1 = (math.log(s / k) + (r + 0.5 * v * v) * t) / root
    d2 = d1 - root
    n1 = 0.5 * math.erfc(-d1 / 1.4142135623730951)
    n2 = 0.5 * math.erfc(-d2 / 1.4142135623730951)
    return s * n1 - k * math.exp(-r * t) * n2


def wave(x):
    return math.exp(-x) * math.sin(x) + math.log(x)


def polynomial(x):
    return ((((((((0.1 * x + 0.2) * x - 0.3) * x + 0.4) * x - 0.5) * x + 0.6) * x - 0.7) * x) + 0.8) * x + 0.9


def sum_of_squares(data):
    total = 0.0
    for x in data:
        total += x * x
    return total


def conditional_sum(data):
    total = 0.0
    for x in data:
        if x > 0.5:
            total += x
    return total


def sieve(flags):
    n = len(flags)
    for i in range(n):
        flags[i] = 1
    i = 2
    while i * i < n:
        if flags[i]:
            for j in range(i * i, n, i):
                flags[j] = 0
        i += 1
    count = 0
    for i in range(2, n):
        count += flags[i]
    return count


def logistic(x, n):
    for _ in range(n):
        x = 3.9 * x * (1.0 - x)
    return x


def filtered(data, out):
    y1 = 0.0
    y2 = 0.0
    for i in range(len(data)):
        y = 0.2 * data[i] + 1.1 * y1 - 0.3 * y2
        out[i] = y
        y2 = y1
        y1 = y
    return y1


def lcg(seed, n):
    for _ in range(n):
        seed = (seed * 1103515245 + 12345) % 2147483648
    return seed


def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


def mandelbrot(width, height, most):
    total = 0
    for j in range(height):
        ci = -1.0 + 2.0 * j / height
        for i in range(width):
            cr = -2.0 + 3.0 * i / width
            zr = 0.0
            zi = 0.0
            n = 0
            while n < most and zr * zr + zi * zi <= 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
                n += 1
            total += n
    return total


def collatz(limit):
    longest = 0
    for start in range(1, limit):
        n = start
        steps = 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
        if steps > longest:
            longest = steps
    return longest
