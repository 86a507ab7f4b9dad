//! Rules for peers, as Python writes them: a list of dicts.

use iris::nodes::{Acl, Names, Peers, Rights, Rule};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PySet, PyString, PyTuple};

const KEYS: &str = "'peers', 'send', 'resolve', 'register', 'spawn' and 'exit'";

/// Reads `acl=[{"peers": "iris://prod/*", "send": True, "resolve": ["public."]}]`.
pub(crate) fn acl(rules: &Bound<'_, PyAny>) -> PyResult<Acl> {
    let rules = sequence(rules).ok_or_else(|| {
        PyTypeError::new_err(format!("acl must be a list of dicts, not {}", shown(rules)))
    })?;
    let rules = rules
        .iter()
        .enumerate()
        .map(|(at, rule)| self::rule(at, rule));
    Ok(Acl::new(rules.collect::<PyResult<Vec<_>>>()?))
}

/// Reads `deny=["iris://prod/stolen"]`.
pub(crate) fn deny(peers: &Bound<'_, PyAny>) -> PyResult<Vec<Peers>> {
    let wrong = |value: &Bound<'_, PyAny>| {
        PyTypeError::new_err(format!("deny must be a list of str, not {}", shown(value)))
    };
    let peers = sequence(peers).ok_or_else(|| wrong(peers))?;
    let patterns = peers.iter().map(|peer| {
        let pattern = peer.cast::<PyString>().map_err(|_| wrong(peer))?;
        pattern_of("deny", &pattern.to_cow()?)
    });
    patterns.collect()
}

fn rule(at: usize, rule: &Bound<'_, PyAny>) -> PyResult<Rule> {
    let dict = rule.cast::<PyDict>().map_err(|_| {
        PyTypeError::new_err(format!("acl[{at}] must be a dict, not {}", shown(rule)))
    })?;
    let mut peers = None;
    let mut rights = Rights::default();
    for (key, value) in dict {
        let place = format!("acl[{at}][{}]", shown(&key));
        let key: Option<String> = key.extract().ok();
        match key.as_deref() {
            Some("peers") => {
                let pattern = value.cast::<PyString>().map_err(|_| {
                    PyTypeError::new_err(format!("{place} must be a str, not {}", shown(&value)))
                })?;
                peers = Some(pattern_of(&place, &pattern.to_cow()?)?);
            }
            Some("send") => rights.send = names(&place, &value)?,
            Some("resolve") => rights.resolve = names(&place, &value)?,
            Some("register") => rights.register = names(&place, &value)?,
            Some("spawn") => rights.spawn = names(&place, &value)?,
            Some("exit") => {
                rights.exit = value.extract().map_err(|_| {
                    PyTypeError::new_err(format!("{place} must be a bool, not {}", shown(&value)))
                })?;
            }
            _ => {
                return Err(PyValueError::new_err(format!(
                    "{place} is not known: a rule has {KEYS}"
                )));
            }
        }
    }
    let peers = peers.ok_or_else(|| {
        PyValueError::new_err(format!(
            "acl[{at}] needs 'peers', whom it is for: a name such as 'iris://cluster/node', with * \
             for any characters, or '*' for everybody"
        ))
    })?;
    Ok(Rule { peers, rights })
}

fn pattern_of(place: &str, pattern: &str) -> PyResult<Peers> {
    if pattern.is_empty() {
        return Err(PyValueError::new_err(format!(
            "{place} must not be empty: nobody is called so"
        )));
    }
    Ok(Peers::new(pattern))
}

/// True, False, or prefixes.
fn names(place: &str, value: &Bound<'_, PyAny>) -> PyResult<Names> {
    if let Ok(all) = value.cast::<PyBool>() {
        return Ok(if all.is_true() {
            Names::Everything
        } else {
            Names::Nothing
        });
    }
    let prefixes = sequence(value)
        .and_then(|prefixes| {
            let prefix = |it: &Bound<'_, PyAny>| it.extract::<String>().ok();
            prefixes.iter().map(prefix).collect::<Option<Vec<_>>>()
        })
        .ok_or_else(|| {
            PyTypeError::new_err(format!(
                "{place} must be True, False or a list of prefixes, not {}",
                shown(value)
            ))
        })?;
    Ok(Names::Under(prefixes))
}

/// The elements of a list, tuple or set: a text alone would else be a list of letters.
fn sequence<'py>(value: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
    let fits = value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PySet>();
    fits.then(|| value.try_iter().ok()?.collect::<PyResult<_>>().ok())
        .flatten()
}

fn shown(value: &Bound<'_, PyAny>) -> String {
    value.repr().map_or_else(
        |_| "that".to_owned(),
        |text| text.to_string_lossy().into_owned(),
    )
}
