//! Random programs and arguments.

use std::fmt::Write as _;

use iris_offload::{ArrayType, Elem, Type, Value};

/// A state, and whether to keep to numbers and operations that seldom end native code.
pub(crate) struct Rng(pub(crate) u64, pub(crate) bool);

impl Rng {
    fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(crate) fn value(&mut self, ty: Type) -> Value {
        match ty {
            Type::Bool => Value::Bool(self.below(2) == 1),
            Type::F64 => Value::F64(self.float()),
            Type::I64 | Type::Array(_) => Value::I64(self.int()),
        }
    }

    fn int(&mut self) -> i64 {
        let edges = [
            i64::MIN,
            i64::MAX,
            1 << 53,
            (1 << 53) + 1,
            -(1 << 53) - 1,
            1 << 31,
            63,
            64,
        ];
        match self.below(if self.1 { 40 } else { 8 }) {
            0 => edges[self.below(edges.len())],
            1 => self.next().cast_signed() >> self.below(64),
            _ => i64::try_from(self.below(25)).unwrap() - 12,
        }
    }

    fn float(&mut self) -> f64 {
        let edges = [
            0.0,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            9_223_372_036_854_775_808.0,
            0.499_999_999_999_999_94,
            4_503_599_627_370_497.5,
            710.0,
            -745.5,
        ];
        let int = i32::try_from(self.below(33)).unwrap() - 16;
        match self.below(if self.1 { 40 } else { 8 }) {
            0 => edges[self.below(edges.len())],
            1 => f64::from_bits(self.next()),
            2..=4 => f64::from(int) / 4.0,
            5 => f64::from(int),
            _ => f64::from(u32::try_from(self.below(1 << 30)).unwrap()) / 1e8 - 5.0,
        }
    }

    /// The bytes of an array: none, one or a few elements.
    pub(crate) fn memory(&mut self, elem: Elem, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..len {
            match elem {
                Elem::F64 => bytes.extend(self.float().to_le_bytes()),
                #[expect(clippy::cast_possible_truncation, reason = "any f32 will do")]
                Elem::F32 => bytes.extend((self.float() as f32).to_le_bytes()),
                Elem::Bool => bytes.push(u8::from(self.one_in(2))),
                _ => bytes.extend(&self.int().to_le_bytes()[..elem.size()]),
            }
        }
        bytes
    }

    pub(crate) fn length(&mut self) -> usize {
        [0, 1, 2, 3, 5, 8][self.below(6)]
    }

    /// Types of three arguments; now and then arrays.
    pub(crate) fn signature(&mut self, arrays: usize) -> Vec<Type> {
        let scalars = [Type::I64, Type::F64, Type::F64, Type::Bool];
        (0..3)
            .map(|index| {
                if index < arrays {
                    Type::Array(array_type(Elem::ALL[self.below(Elem::ALL.len())]))
                } else {
                    scalars[self.below(4)]
                }
            })
            .collect()
    }
}

pub(crate) fn array_type(elem: Elem) -> ArrayType {
    ArrayType {
        elem,
        ndim: 1,
        contiguous: true,
        writable: true,
        numpy: false,
    }
}

const ORDER: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];

/// A program in the making.
pub(crate) struct Writer<'a> {
    rng: &'a mut Rng,
    source: String,
    /// Names of scalars.
    names: Vec<String>,
    /// Names of arrays.
    arrays: Vec<String>,
    /// Whether `g` and `h` are there to be called.
    helpers: bool,
    /// Whether `match` is understood.
    matches: bool,
    fresh: usize,
    loops: usize,
    statements: usize,
}

/// A program whose first `arrays` of three parameters are arrays, used as such.
pub(crate) fn program(rng: &mut Rng, arrays: usize, matches: bool) -> String {
    let helpers = rng.one_in(3);
    let mut source = String::new();
    if helpers {
        source += &helper(rng, "g", "a, b");
        source += &helper(rng, "h", "a, b=2, /, c=True, *, k=None");
    }
    let params = ["x", "y", "z"].map(str::to_owned);
    let mut writer = Writer {
        rng,
        source,
        names: params[arrays..].to_vec(),
        arrays: params[..arrays].to_vec(),
        helpers,
        matches,
        fresh: 0,
        loops: 0,
        statements: 0,
    };
    writer.source += "def f(x, y, z):\n";
    writer.block(1);
    let value = writer.result();
    let _ = writeln!(writer.source, "    return {value}");
    writer.source
}

/// A program of scalars, to be mapped over arrays or not.
pub(crate) fn expression(rng: &mut Rng) -> String {
    let mut writer = Writer {
        rng,
        source: String::from("def f(x, y, z):\n"),
        names: ["x", "y", "z"].map(str::to_owned).to_vec(),
        arrays: Vec::new(),
        helpers: false,
        matches: false,
        fresh: 0,
        loops: 0,
        statements: 0,
    };
    if writer.rng.one_in(2) {
        let test = writer.expr(1);
        let early = writer.expr(1);
        let _ = writeln!(writer.source, "    if {test}:\n        return {early}");
    }
    let value = writer.expr(3);
    let _ = writeln!(writer.source, "    return {value}");
    writer.source
}

fn helper(rng: &mut Rng, name: &str, params: &str) -> String {
    let mut writer = Writer {
        rng,
        source: format!("def {name}({params}):\n"),
        names: vec!["a".to_owned(), "b".to_owned()],
        arrays: Vec::new(),
        helpers: false,
        matches: false,
        fresh: 0,
        loops: 0,
        statements: 6,
    };
    if params.contains("k=") {
        writer.line(1, "if k is not None and k not in (a, 3):");
        writer.line(2, "b = k");
    }
    writer.block(1);
    let value = writer.expr(2);
    let _ = writeln!(writer.source, "    return {value}");
    writer.source
}

impl Writer<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.source, "{}{text}", "    ".repeat(indent));
    }

    fn name(&mut self) -> String {
        if self.names.is_empty() {
            return "2".to_owned();
        }
        self.names[self.rng.below(self.names.len())].clone()
    }

    fn new_name(&mut self) -> String {
        self.fresh += 1;
        format!("v{}", self.fresh)
    }

    /// A name to assign: a known one or a new one.
    fn target(&mut self) -> String {
        if self.rng.one_in(2) && !self.names.is_empty() {
            return self.name();
        }
        let name = self.new_name();
        self.names.push(name.clone());
        name
    }

    /// What a block binds is seldom read behind it: it may not be bound.
    fn block(&mut self, indent: usize) {
        let known = self.names.len();
        for _ in 0..=self.rng.below(3) {
            self.statement(indent);
        }
        if indent > 1 && !self.rng.one_in(20) {
            self.names.truncate(known);
        }
    }

    fn statement(&mut self, indent: usize) {
        self.statements += 1;
        let nested = indent < 4 && self.statements < 14;
        match self.rng.below(21) {
            18 if nested => self.match_statement(indent),
            19 if indent == 1 && self.names.len() > 3 => {
                let name = self.names.pop().unwrap();
                self.line(indent, &format!("del {name}"));
            }
            0..=3 => {
                let value = self.expr(2);
                let target = self.target();
                let op = self.rng.pick(&["=", "=", "+=", "*=", "-="]);
                self.line(indent, &format!("{target} {op} {value}"));
            }
            4 => {
                let (a, b) = (self.expr(1), self.expr(1));
                let (s, t) = (self.target(), self.target());
                let pair = self.rng.pick(&["{a}, {b}", "divmod({a}, {b})"]);
                let pair = pair.replace("{a}", &a).replace("{b}", &b);
                self.line(indent, &format!("{s}, {t} = {pair}"));
            }
            5..=7 if nested => self.branch(indent),
            8..=10 if nested && self.loops < 2 => self.for_loop(indent),
            11 if nested && self.loops < 2 => self.while_loop(indent),
            12 if self.loops > 0 => {
                let test = self.test();
                let jump = self.rng.pick(&["break", "continue"]);
                self.line(indent, &format!("if {test}:"));
                self.line(indent + 1, jump);
            }
            13 if self.loops > 0 || self.rng.one_in(4) => {
                let (test, value) = (self.test(), self.result());
                self.line(indent, &format!("if {test}:"));
                self.line(indent + 1, &format!("return {value}"));
            }
            14 if self.rng.one_in(3) => {
                let test = self.test();
                let stop = self
                    .rng
                    .pick(&["raise ValueError('no')", "assert x", "return"]);
                self.line(indent, &format!("if {test}:"));
                self.line(indent + 1, stop);
            }
            15 | 16 if !self.arrays.is_empty() => {
                let array = self.array();
                let (index, value) = (self.index(&array), self.expr(2));
                let op = self.rng.pick(&["=", "=", "+=", "-="]);
                self.line(indent, &format!("{array}[{index}] {op} {value}"));
            }
            _ => {
                let reduction = self.reduction();
                let target = self.target();
                self.line(indent, &format!("{target} = {reduction}"));
            }
        }
    }

    fn array(&mut self) -> String {
        self.arrays[self.rng.below(self.arrays.len())].clone()
    }

    fn index(&mut self, array: &str) -> String {
        match self.rng.below(4) {
            0 => "0".to_owned(),
            1 => "-1".to_owned(),
            2 => format!("len({array}) - 1"),
            _ => self.name(),
        }
    }

    fn branch(&mut self, indent: usize) {
        let test = self.test();
        self.line(indent, &format!("if {test}:"));
        self.block(indent + 1);
        if self.rng.one_in(4) {
            let test = self.test();
            self.line(indent, &format!("elif {test}:"));
            self.block(indent + 1);
        }
        if self.rng.one_in(2) {
            self.line(indent, "else:");
            self.block(indent + 1);
        }
    }

    /// A tuple or a list that is written down.
    fn row(&mut self, depth: usize) -> String {
        let items: Vec<_> = (0..self.rng.below(4)).map(|_| self.expr(depth)).collect();
        match (&items[..], self.rng.below(2)) {
            ([one], 0) => format!("({one},)"),
            (items, 0) => format!("({})", items.join(", ")),
            (items, _) => format!("[{}]", items.join(", ")),
        }
    }

    fn match_statement(&mut self, indent: usize) {
        if !self.matches {
            return self.branch(indent);
        }
        let (known, subject) = (self.names.len(), self.expr(1));
        self.line(indent, &format!("match {subject}:"));
        for _ in 0..=self.rng.below(3) {
            let pattern = self
                .rng
                .pick(&[
                    "0",
                    "1",
                    "-2",
                    "0.5",
                    "True",
                    "None",
                    "1 | 2.0",
                    "3 | False",
                    "math.pi",
                ])
                .to_owned();
            let guard = if self.rng.one_in(4) {
                format!(" if {}", self.test())
            } else {
                String::new()
            };
            self.line(indent + 1, &format!("case {pattern}{guard}:"));
            self.block(indent + 2);
        }
        if self.rng.one_in(3) {
            let (name, test) = (self.target(), self.test());
            self.line(indent + 1, &format!("case {name} if {test}:"));
            self.block(indent + 2);
        }
        if self.rng.one_in(2) {
            self.line(indent + 1, "case _:");
            self.block(indent + 2);
        }
        self.names.truncate(known);
    }

    /// A test of membership or of identity.
    fn membership(&mut self) -> String {
        let item = self.expr(1);
        let word = self.rng.pick(&["in", "not in"]);
        match self.rng.below(6) {
            0 => format!("({item} {word} {})", self.range()),
            1 | 2 if !self.arrays.is_empty() => format!("({item} {word} {})", self.array()),
            3 => {
                let what = self.rng.pick(&["None", "True", "False"]);
                format!("({item} {} {what})", self.rng.pick(&["is", "is not"]))
            }
            _ => format!("({item} {word} {})", self.row(1)),
        }
    }

    /// A call of a function that Python computes itself.
    fn exact(&mut self, depth: usize) -> String {
        let sub = self.rng.below(depth);
        let (a, b) = (self.expr(sub), self.expr(sub));
        let (n, k) = (
            self.name(),
            self.rng.pick(&["0", "1", "2", "3", "-1", "-2", "7"]),
        );
        match self.rng.below(14) {
            0 => format!("round({a}, {k})"),
            1 => format!("round({a}, int({n}) % 25 - 6)"),
            2 => format!("math.gcd(int({a}), {k})"),
            3 => format!("math.lcm(int({n}), {k})"),
            4 => format!("math.comb(int({n}), {k})"),
            5 => format!("math.perm(int({n}), {k})"),
            6 => format!("math.ldexp({a}, {k})"),
            7 => format!("math.frexp({a})[{}]", self.rng.below(2)),
            8 => format!("math.modf({a})[{}]", self.rng.below(2)),
            9 => format!("math.isclose({a}, {b}, rel_tol=0.25, abs_tol={n})"),
            10 => format!("math.dist(({a}, {n}), ({b}, 1))"),
            11 => format!("(({a}) * 1.0).is_integer()"),
            12 => format!("int({n}).{}()", self.rng.pick(&["bit_length", "bit_count"])),
            _ => format!("len({})", self.range()),
        }
    }

    /// Short enough that `CPython` is done soon.
    fn range(&mut self) -> String {
        let small = ["0", "1", "2", "5", "-3", "7"];
        let steps = ["1", "2", "-1", "-2", "3"];
        let stop = if self.rng.one_in(4) {
            let name = self.name();
            format!("min(int({name}), 6)")
        } else {
            self.rng.pick(&small).to_owned()
        };
        let start = self.rng.pick(&small);
        match self.rng.below(4) {
            0 | 1 => format!("range({stop})"),
            2 => format!("range({start}, {stop})"),
            _ => {
                let (stop, step) = (self.rng.pick(&small), self.rng.pick(&steps));
                format!("range({start}, {stop}, {step})")
            }
        }
    }

    fn for_loop(&mut self, indent: usize) {
        let known = self.names.len();
        let head = if self.rng.one_in(5) {
            let row = self.row(1);
            match self.rng.below(3) {
                0 => format!(
                    "for {}, {} in enumerate({row})",
                    self.target(),
                    self.target()
                ),
                1 => format!("for {} in reversed({row})", self.target()),
                _ => format!("for {} in {row}", self.target()),
            }
        } else if !self.arrays.is_empty() && self.rng.one_in(2) {
            let (a, b) = (self.array(), self.array());
            let (i, v) = (self.target(), self.target());
            match self.rng.below(5) {
                4 => format!("for {v} in reversed({a})"),
                0 => format!("for {i}, {v} in enumerate({a})"),
                1 => format!("for {i}, {v} in zip({a}, {b})"),
                2 => format!("for {i} in range(len({a}))"),
                _ => format!("for {v} in {a}"),
            }
        } else {
            let range = self.range();
            let range = if self.rng.one_in(4) {
                format!("reversed({range})")
            } else {
                range
            };
            format!("for {} in {range}", self.target())
        };
        self.line(indent, &format!("{head}:"));
        self.loop_body(indent);
        if !self.rng.one_in(20) {
            self.names.truncate(known);
        }
    }

    fn while_loop(&mut self, indent: usize) {
        let (counter, test) = (self.new_name(), self.test());
        self.line(indent, &format!("{counter} = 0"));
        let test = if self.rng.one_in(3) {
            format!("({counter} := {counter} + 1) < 6 and {test}")
        } else {
            format!("{counter} < 5 and {test}")
        };
        self.line(indent, &format!("while {test}:"));
        self.line(indent + 1, &format!("{counter} += 1"));
        self.loop_body(indent);
    }

    fn loop_body(&mut self, indent: usize) {
        self.loops += 1;
        self.block(indent + 1);
        self.loops -= 1;
        if self.rng.one_in(5) {
            self.line(indent, "else:");
            self.block(indent + 1);
        }
    }

    fn reduction(&mut self) -> String {
        let folds = ["sum", "sum", "any", "all", "max", "min", "math.prod"];
        let fold = self.rng.pick(&folds);
        if self.rng.one_in(5) {
            let row = self.row(2);
            return match self.rng.below(3) {
                0 => format!("max({row}, default={})", self.leaf()),
                1 => format!("{fold}(reversed({row}))"),
                _ => format!("{fold}({row})"),
            };
        }
        if fold.starts_with('m') && fold != "math.prod" && self.rng.one_in(4) {
            let (range, default) = (self.range(), self.leaf());
            let element = self.name();
            return format!("{fold}(({element} for e in {range}), default={default})");
        }
        let (items, item) = if !self.arrays.is_empty() && self.rng.one_in(2) {
            let array = self.array();
            if self.rng.one_in(3) {
                return format!("{fold}({array})");
            }
            (array, "e")
        } else {
            (self.range(), "e")
        };
        self.names.push(item.to_owned());
        let (element, test) = (self.expr(1), self.test());
        let filter = if self.rng.one_in(2) {
            format!(" if {test}")
        } else {
            String::new()
        };
        self.names.pop();
        if self.rng.one_in(6) {
            let inner = self.range();
            return format!("{fold}({element} * d for e in {items}{filter} for d in {inner})");
        }
        format!("{fold}({element} for e in {items}{filter})")
    }

    fn result(&mut self) -> String {
        match self.rng.below(8) {
            0 => format!("{}, {}", self.expr(1), self.expr(2)),
            1 => format!("({}, ({}, None))", self.expr(1), self.expr(1)),
            2 => {
                let (a, b, c) = (self.expr(1), self.test(), self.expr(1));
                format!("{a} if {b} else {c}")
            }
            3 => self.reduction(),
            _ => self.expr(3),
        }
    }

    fn test(&mut self) -> String {
        let (a, b) = (self.expr(1), self.expr(1));
        match self.rng.below(6) {
            0 => a,
            5 => self.membership(),
            1 => format!("{a} < {b} and not {b}"),
            _ => format!("{a} {} {b}", self.rng.pick(&ORDER)),
        }
    }

    fn leaf(&mut self) -> String {
        if self.rng.below(5) > 0 {
            return self.name();
        }
        self.rng
            .pick(&[
                "0",
                "1",
                "2",
                "3",
                "-1",
                "10",
                "0.0",
                "-0.0",
                "0.5",
                "2.0",
                "-3.0",
                "1e300",
                "1e-300",
                "True",
                "False",
                "math.pi",
                "math.inf",
                "math.nan",
                "9007199254740993",
                "0x7fffffff",
            ])
            .to_owned()
    }

    fn expr(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf();
        }
        let mut sub = || {
            let depth = self.rng.below(depth);
            self.expr(depth)
        };
        let (a, b, c) = (sub(), sub(), sub());
        let arith = ["+", "-", "*", "/", "//", "%", "**", "+", "-", "*"];
        let bits = ["<<", ">>", "&", "|", "^"];
        if self.rng.one_in(12) {
            return self.exact(depth);
        }
        let rng = &mut *self.rng;
        if rng.1 && rng.below(4) > 0 {
            return match rng.below(8) {
                0 => format!("({a} if {b} else {c})"),
                1 => format!("({a} {} {b})", rng.pick(&ORDER)),
                2 => format!("{a} - {b} * 0.25"),
                3 => format!("min({a}, {b})"),
                4 if self.helpers => format!("g({a}, {b})"),
                _ => format!("({a}) {} {b}", rng.pick(&["+", "-", "*", "+"])),
            };
        }
        match rng.below(18) {
            // Without brackets: precedence is part of what is compared.
            0 | 1 => format!("{a} {} {b} {} {c}", rng.pick(&arith), rng.pick(&arith)),
            2..=4 => format!("({a}) {} ({b})", rng.pick(&arith)),
            5 => format!("({a}) {} ({b})", rng.pick(&bits)),
            6 => format!("({}({a}))", rng.pick(&["-", "+", "~", "not "])),
            7 => format!("(-{a} ** -{b})"),
            8 => format!("(({a}) {} ({b}))", rng.pick(&ORDER)),
            9 => format!(
                "(({a}) {} ({b}) {} ({c}))",
                rng.pick(&ORDER),
                rng.pick(&ORDER)
            ),
            10 => {
                let ops = ["and", "or"];
                format!("({a} {} {b} {} {c})", rng.pick(&ops), rng.pick(&ops))
            }
            11 => format!("({a} if {b} else {c})"),
            12 => format!("{}({a}, {b})", rng.pick(&["min", "max", "pow"])),
            13 => {
                let names = ["abs", "int", "float", "bool", "round"];
                format!("{}({a})", rng.pick(&names))
            }
            14 => {
                let names = [
                    "pow",
                    "atan2",
                    "fmod",
                    "copysign",
                    "log",
                    "hypot",
                    "remainder",
                    "nextafter",
                    "isclose",
                ];
                format!("math.{}({a}, {b})", rng.pick(&names))
            }
            15 if self.helpers => match rng.below(3) {
                0 => format!("g({a}, {b})"),
                1 => format!("g(b={a}, a={b})"),
                _ => format!("h({a}, c={b}, k={})", self.rng.pick(&["None", "2", "x"])),
            },
            16 if !self.arrays.is_empty() => {
                let array = self.array();
                let index = self.index(&array);
                format!("{array}[{index}]")
            }
            _ => {
                let names = [
                    "cbrt", "exp2", "ulp", "gamma", "lgamma", "acos", "acosh", "asin", "asinh",
                    "atan", "atanh", "ceil", "cos", "cosh", "degrees", "erf", "erfc", "exp",
                    "expm1", "fabs", "floor", "isfinite", "isinf", "isnan", "log", "log10",
                    "log1p", "log2", "radians", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
                ];
                format!("math.{}({a})", rng.pick(&names))
            }
        }
    }
}
