//! Which children are restarted when one of them ends.

use std::str::FromStr;

use thiserror::Error;

/// Which children are restarted when one of them ends and is to come back.
///
/// | strategy | stopped and started again | names that are read |
/// |---|---|---|
/// | one-for-one | that child alone | `restartone`, `one_for_one` |
/// | one-for-all | all children | `restartall`, `one_for_all` |
/// | rest-for-one | that child and those added after it | `restartrest`, `rest_for_one` |
/// | pool | that child alone; children are many, alike, and stopped all at once | `pool`, `simple_one_for_one` |
///
/// Names are read in any case, with underscores anywhere.
///
/// # Examples
///
/// ```
/// use iris_supervise::Strategy;
///
/// assert_eq!("RestartAll".parse(), Ok(Strategy::OneForAll));
/// assert_eq!("rest_for_one".parse(), Ok(Strategy::RestForOne));
/// assert!("restart_some".parse::<Strategy>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The child that ended.
    #[default]
    OneForOne,
    /// All children: they cannot do without each other.
    OneForAll,
    /// It and the children added after it: they build on those before them.
    RestForOne,
    /// The child that ended, out of many that are alike: OTP's `simple_one_for_one`. A
    /// child that is not restarted is forgotten, and a shutdown stops all at once.
    Pool,
}

impl Strategy {
    /// The name in OTP's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
            Self::Pool => "simple_one_for_one",
        }
    }
}

impl FromStr for Strategy {
    type Err = ParseStrategyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match plain(text).as_str() {
            "restartone" | "oneforone" => Ok(Self::OneForOne),
            "restartall" | "oneforall" => Ok(Self::OneForAll),
            "restartrest" | "restforone" => Ok(Self::RestForOne),
            "pool" | "simpleoneforone" => Ok(Self::Pool),
            _ => Err(ParseStrategyError(text.to_owned())),
        }
    }
}

/// A word without what users may vary in it.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| *letter != '_')
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// No strategy has this name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a strategy: there are restartone (one_for_one), restartall (one_for_all), \
     restartrest (rest_for_one) and pool (simple_one_for_one)"
)]
pub struct ParseStrategyError(pub String);
