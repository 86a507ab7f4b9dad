//! What is printed: JSON lines for programs, a table for people.

use std::fmt::Write as _;

use crate::catalogue::{Anchor, Goal, Impl, Metric, Workload};
use crate::measure::median;

/// The figures of one repetition.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Operations.
    pub n: f64,
    /// What they took.
    pub seconds: f64,
    /// Processor time of all threads.
    pub cpu_seconds: f64,
    /// Memory.
    pub rss_bytes: f64,
    /// Figures of the workload alone.
    pub extras: Vec<(String, f64)>,
}

impl Sample {
    /// A figure of the workload alone, by its name.
    pub fn extra(&self, name: &str) -> Option<f64> {
        extra(&self.extras, name)
    }

    /// Operations per second.
    pub fn per_sec(&self) -> f64 {
        self.n / self.seconds
    }
}

/// The medians of an implementation.
#[derive(Debug)]
struct Row {
    imp: Impl,
    n: f64,
    per_sec: f64,
    /// The slowest and the quickest repetition.
    range: (f64, f64),
    /// Processor time for each operation, in nanoseconds.
    cpu_ns: f64,
    rss_bytes: f64,
    extras: Vec<(String, f64)>,
}

impl Row {
    /// `None` if no repetition worked.
    fn of(imp: Impl, samples: &[Sample]) -> Option<Self> {
        let first = samples.first()?;
        let of = |figure: &dyn Fn(&Sample) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(figure).collect();
            let middle = median(&mut values);
            (middle, (values[0], values[values.len() - 1]))
        };
        let (per_sec, range) = of(&Sample::per_sec);
        let extras = first.extras.iter().map(|(name, _)| {
            let value = of(&|sample| sample.extra(name).unwrap_or(f64::NAN)).0;
            (name.clone(), value)
        });
        Some(Self {
            imp,
            n: of(&|sample| sample.n).0,
            per_sec,
            range,
            cpu_ns: of(&|sample| sample.cpu_seconds / sample.n * 1e9).0,
            rss_bytes: of(&|sample| sample.rss_bytes).0,
            extras: extras.collect(),
        })
    }

    /// The figure that a goal is about.
    fn figure(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::PerSec => Some(self.per_sec),
            Metric::Rss => Some(self.rss_bytes),
            Metric::Less(name) => extra(&self.extras, name),
        }
    }

    fn json(&self, workload: Workload) -> String {
        let mut line = format!(
            r#"{{"impl": "{}", "workload": "{}", "n": {:.0}, "seconds": {:.6}, "per_sec": {:.0}, "cpu_ns": {:.1}, "rss_bytes": {:.0}"#,
            self.imp.name(),
            workload.title(),
            self.n,
            self.n / self.per_sec,
            self.per_sec,
            self.cpu_ns,
            self.rss_bytes,
        );
        for (name, value) in &self.extras {
            write!(line, r#", "{name}": {value:.1}"#).expect("a string takes all");
        }
        line.push('}');
        line
    }

    fn text(&self, tokio: Option<f64>) -> String {
        let ratio = match tokio {
            Some(tokio) => format!("{:.2}x", self.per_sec / tokio),
            None => String::from("-"),
        };
        let mut line = format!(
            "  {:<15} {:>13} {:>8} {:>8.0} {:>6.1} {:>9}   {}-{}",
            self.imp.name(),
            grouped(self.per_sec),
            ratio,
            self.cpu_ns,
            // Below two when one worker sufficed, or when others had the machine.
            self.cpu_ns * self.per_sec / 1e9,
            megabytes(self.rss_bytes),
            short(self.range.0),
            short(self.range.1),
        );
        for (name, value) in &self.extras {
            write!(line, "  {name} {}", grouped(*value)).expect("a string takes all");
        }
        line
    }
}

/// How far Iris is from a goal.
#[derive(Debug)]
struct Verdict {
    goal: &'static Goal,
    ratio: f64,
}

impl Verdict {
    /// `None` if one of the two figures is missing.
    fn of(goal: &'static Goal, rows: &[Row]) -> Option<Self> {
        let figure = |imp: Impl| {
            let row = rows.iter().find(|row| row.imp == imp)?;
            row.figure(goal.metric)
        };
        let ours = figure(goal.ours)?;
        let anchor = match goal.against {
            Anchor::Impl(imp) => figure(imp)?,
            Anchor::Figure(figure, _) => figure,
        };
        let ratio = match goal.metric {
            Metric::PerSec => ours / anchor,
            Metric::Rss | Metric::Less(_) => anchor / ours,
        };
        Some(Self { goal, ratio })
    }

    fn against(&self) -> &'static str {
        match self.goal.against {
            Anchor::Impl(imp) => imp.name(),
            Anchor::Figure(_, whose) => whose,
        }
    }

    fn json(&self) -> String {
        format!(
            r#"{{"workload": "{}", "ratio": {:.3}, "goal": {}, "impl": "{}", "against": "{}", "measure": "{}"}}"#,
            self.goal.workload.title(),
            self.ratio,
            self.goal.ratio,
            self.goal.ours.name(),
            self.against(),
            self.goal.what,
        )
    }

    fn text(&self) -> String {
        let met = if self.ratio >= self.goal.ratio {
            "met"
        } else {
            "NOT met"
        };
        format!(
            "  {:<34} {:<31} {:<31} {:>7.2}x  goal {:>5.2}x  {met}",
            self.goal.workload.title(),
            self.goal.what,
            format!("{} / {}", self.goal.ours.name(), self.against()),
            self.ratio,
            self.goal.ratio,
        )
    }
}

/// Where results go as they come.
#[derive(Debug)]
pub struct Output {
    json: bool,
    verdicts: Vec<Verdict>,
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "results are what the program prints"
)]
impl Output {
    /// JSON lines, or tables.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            verdicts: Vec::new(),
        }
    }

    /// Prints the medians of a workload, and its goals.
    pub fn workload(&mut self, workload: Workload, samples: &[(Impl, Vec<Sample>)]) {
        let rows: Vec<Row> = samples
            .iter()
            .filter_map(|(imp, samples)| Row::of(*imp, samples))
            .collect();
        let verdicts: Vec<Verdict> = workload
            .goals()
            .filter_map(|goal| Verdict::of(goal, &rows))
            .collect();
        if self.json {
            for row in &rows {
                println!("{}", row.json(workload));
            }
            for verdict in &verdicts {
                println!("{}", verdict.json());
            }
            if let Some(note) = workload.note() {
                eprintln!("bench-core: {}: {note}", workload.title());
            }
        } else {
            print_table(workload, &rows);
        }
        self.verdicts.extend(verdicts);
    }

    /// Prints what follows from everything.
    pub fn end(&self) {
        if self.json || self.verdicts.is_empty() {
            return;
        }
        println!("goals (larger is better; a smaller-is-better measure is anchor over ours)");
        for verdict in &self.verdicts {
            println!("{}", verdict.text());
        }
    }
}

#[expect(clippy::print_stdout, reason = "results are what the program prints")]
fn print_table(workload: Workload, rows: &[Row]) {
    let size = rows.first().map_or(0.0, |row| row.n);
    let size = if workload == Workload::Swap {
        String::new()
    } else {
        format!(": {} {}", grouped(size), workload.unit())
    };
    println!("{}{size}", workload.title());
    println!(
        "  {:<15} {:>13} {:>8} {:>8} {:>6} {:>9}   slowest-quickest",
        "",
        format!("{}/s", workload.unit()),
        "/ tokio",
        "ns CPU",
        "cores",
        "memory"
    );
    let tokio = rows.iter().find(|row| row.imp == Impl::Tokio);
    let tokio = tokio.map(|row| row.per_sec);
    for row in rows {
        println!("{}", row.text(tokio));
    }
    if let Some(note) = workload.note() {
        println!("  note: {note}");
    }
    println!();
}

fn extra(extras: &[(String, f64)], name: &str) -> Option<f64> {
    let found = extras.iter().find(|(known, _)| known == name)?;
    Some(found.1)
}

/// A figure with commas; one decimal below a hundred.
fn grouped(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate in three digits or so.
fn short(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2}M", value / 1e6)
    } else {
        format!("{:.0}k", value / 1e3)
    }
}

fn megabytes(bytes: f64) -> String {
    format!(
        "{} MB",
        grouped((bytes / 1e6).round()).trim_end_matches(".0")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(imp: Impl, per_sec: f64, p99: f64) -> Row {
        let sample = Sample {
            n: per_sec,
            seconds: 1.0,
            cpu_seconds: 1.0,
            rss_bytes: 1e6,
            extras: vec![("p99_us".to_owned(), p99)],
        };
        Row::of(imp, &[sample]).expect("there is a sample")
    }

    fn ratio(workload: Workload) -> f64 {
        let rows = [row(Impl::Iris, 40.0, 50.0), row(Impl::Tokio, 10.0, 200.0)];
        let goal = workload.goals().next().expect("it has one");
        Verdict::of(goal, &rows).expect("both are there").ratio
    }

    #[test]
    fn a_ratio_is_larger_where_iris_is_better() {
        assert!((ratio(Workload::Tell) - 4.0).abs() < 1e-9);
        assert!((ratio(Workload::Skew) - 4.0).abs() < 1e-9, "anchor / ours");
    }

    #[test]
    fn a_goal_without_its_figures_is_left_out() {
        let goal = Workload::Tell.goals().next().expect("it has one");
        assert!(Verdict::of(goal, &[row(Impl::Iris, 1.0, 1.0)]).is_none());
    }

    #[test]
    fn a_json_row_has_the_fields_of_every_bench() {
        let line = row(Impl::Iris, 2.0, 3.0).json(Workload::Skew);
        assert_eq!(
            line,
            r#"{"impl": "iris", "workload": "100 light actors beside a hot one", "n": 2, "seconds": 1.000000, "per_sec": 2, "cpu_ns": 500000000.0, "rss_bytes": 1000000, "p99_us": 3.0}"#
        );
    }

    #[test]
    fn figures_are_grouped_in_thousands() {
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(999.6), "1,000");
        assert_eq!(grouped(-1_234.0), "-1,234");
        assert_eq!(grouped(12.34), "12.3");
    }
}
