//! What a peer may do, by who it has proved to be.

use std::collections::HashSet;
use std::fmt;

use iris_core::Pid;

/// How the names of certificates that say which node it is begin: `iris://cluster/node`.
pub(crate) const SCHEME: &str = "iris://";

/// How the digest of a certificate begins, by which one alone can be denied.
pub(crate) const DIGEST: &str = "sha256:";

/// Who a peer has proved to be.
///
/// | proof | names |
/// |---|---|
/// | a certificate with URIs `iris://cluster/node` | those |
/// | a certificate without | the DNS names in it |
/// | a [secret](crate::NodeConfig::secret), and a certificate without any of these or none | what it [calls itself](crate::NodeConfig::name) |
/// | none | none: nobody |
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    names: Vec<String>,
    /// Of its certificate.
    digest: Option<String>,
}

impl Identity {
    /// Somebody who has proved nothing.
    pub const NOBODY: Self = Self {
        names: Vec::new(),
        digest: None,
    };

    /// From what the link tells ([`Link::identity`](crate::Link::identity)), and the name that it
    /// calls itself if that counts.
    pub fn new(proven: &[String], called: Option<&str>) -> Self {
        let (digests, mut names): (Vec<String>, Vec<String>) = proven
            .iter()
            .cloned()
            .partition(|name| name.starts_with(DIGEST));
        if names.iter().any(|name| name.starts_with(SCHEME)) {
            names.retain(|name| name.starts_with(SCHEME));
        }
        if names.is_empty() {
            names.extend(called.filter(|name| !name.is_empty()).map(str::to_owned));
        }
        Self {
            names,
            digest: digests.into_iter().next(),
        }
    }

    /// Its names; none for somebody who has proved nothing.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether both are the same node, with whichever certificates.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.names == other.names
    }

    /// Whether it may be in a cluster: one whose certificate names clusters may be in those.
    pub(crate) fn belongs_to(&self, cluster: &str) -> bool {
        let mut clusters = self
            .names
            .iter()
            .filter_map(|name| name.strip_prefix(SCHEME)?.split('/').next())
            .filter(|named| !named.is_empty())
            .peekable();
        cluster.is_empty() || clusters.peek().is_none() || clusters.any(|named| named == cluster)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.names.first(), &self.digest) {
            (Some(name), _) => name.fmt(f),
            (None, Some(digest)) => digest.fmt(f),
            (None, None) => "nobody".fmt(f),
        }
    }
}

/// Which peers a rule is for: a name with `*` for any characters. `*` alone is everybody, who has
/// proved nothing included; anything else also fits the digest of a certificate,
/// `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peers(String);

impl Peers {
    /// From a pattern such as `iris://production/web-*`.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether a peer is one of them.
    pub fn includes(&self, peer: &Identity) -> bool {
        let mut proven = peer.names.iter().chain(&peer.digest);
        self.0 == "*" || proven.any(|name| fits(&self.0, name))
    }
}

/// Whether `text` is `pattern` with something in place of each `*`.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        // The first place leaves the most for those that follow.
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Which names a right is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// The right is not granted.
    #[default]
    Nothing,
    /// Names and paths that begin with one of these.
    Under(Vec<String>),
    /// All, and for `send` processes without a name, too.
    Everything,
}

impl Names {
    /// Whether this one is among them.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Under(prefixes) => prefixes.iter().any(|prefix| name.starts_with(prefix)),
            Self::Everything => true,
        }
    }
}

/// What a peer may do. [`Rights::default`] are no rights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Send to, ask, monitor and link processes that peers may reach; of these, only those with
    /// such a name.
    pub send: Names,
    /// Ask who has such a name, and be told by a mesh.
    pub resolve: Names,
    /// Publish such a name for the whole mesh.
    pub register: Names,
    /// Start such a behavior here.
    pub spawn: Names,
    /// Send exit signals to processes that none of its own is linked to, and stop them.
    pub exit: bool,
}

impl Rights {
    /// What a peer may do that was admitted, where there are no rules: everything but to spawn and
    /// to end processes that none of its own is linked to.
    pub const ADMITTED: Self = Self {
        send: Names::Everything,
        resolve: Names::Everything,
        register: Names::Everything,
        spawn: Names::Nothing,
        exit: false,
    };

    /// Whether it may reach a process with these names, which are looked up if they matter.
    pub(crate) fn reach(&self, names: impl FnOnce() -> Vec<String>) -> bool {
        match &self.send {
            Names::Nothing => false,
            Names::Under(_) => names().iter().any(|name| self.send.includes(name)),
            Names::Everything => true,
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom it is for.
    pub peers: Peers,
    /// What they may do.
    pub rights: Rights,
}

/// Rules in order, of which the first that fits holds. Whom none fits may do nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl(Vec<Rule>);

impl Acl {
    /// These rules.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// What a peer may do.
    pub fn rights(&self, peer: &Identity) -> Rights {
        let rule = self.0.iter().find(|rule| rule.peers.includes(peer));
        rule.map(|rule| rule.rights.clone()).unwrap_or_default()
    }
}

/// Links that processes of a peer have to local ones: an exit signal goes along one of these.
#[derive(Debug, Default)]
pub(crate) struct Linked(HashSet<(Pid, Pid)>);

/// Links of one peer, and monitors; more are refused.
pub(crate) const MOST_LINKS: usize = 1 << 20;

impl Linked {
    /// `false`: it has too many.
    pub(crate) fn link(&mut self, from: Pid, to: Pid) -> bool {
        self.0.len() < MOST_LINKS && {
            self.0.insert((from, to));
            true
        }
    }

    /// `false`: there was none.
    pub(crate) fn unlink(&mut self, from: Pid, to: Pid) -> bool {
        self.0.remove(&(from, to))
    }

    /// A local process has ended.
    pub(crate) fn ended(&mut self, to: Pid) {
        self.0.retain(|(_, known)| *known != to);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(proven: &[&str]) -> Identity {
        let proven: Vec<String> = proven.iter().map(|&name| name.to_owned()).collect();
        Identity::new(&proven, None)
    }

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, text, expected) in [
            ("iris://c/web", "iris://c/web", true),
            ("iris://c/web", "iris://c/web-1", false),
            ("iris://c/web", "xiris://c/web", false),
            ("iris://c/web-*", "iris://c/web-1", true),
            ("iris://c/web-*", "iris://c/web", false),
            ("*.example", "a.example", true),
            ("*.example", "a.example.org", false),
            ("iris://*/db", "iris://c/db", true),
            ("iris://*/db", "iris://c/db/x", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("**", "anything", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_node_s_uri_counts_before_its_hosts_and_these_before_what_it_calls_itself() {
        let names = |proven: &[&str], called| {
            let proven: Vec<String> = proven.iter().map(|&name| name.to_owned()).collect();
            Identity::new(&proven, called).names
        };
        let all = ["iris://c/n", "host.example", "sha256:00"];
        assert_eq!(names(&all, Some("root")), ["iris://c/n"]);
        assert_eq!(names(&all[1..], Some("root")), ["host.example"]);
        assert_eq!(names(&all[2..], Some("root")), ["root"]);
        assert_eq!(names(&[], Some("")), [""; 0]);
        assert_eq!(Identity::new(&[], None), Identity::NOBODY);
    }

    #[test]
    fn the_first_rule_that_fits_holds_and_without_one_there_are_no_rights() {
        let rule = |peers: &str, send| Rule {
            peers: Peers::new(peers),
            rights: Rights {
                send,
                ..Rights::default()
            },
        };
        let acl = Acl::new([
            rule("iris://c/web-*", Names::Under(vec!["/public/".to_owned()])),
            rule("iris://c/*", Names::Everything),
        ]);
        let web = acl.rights(&peer(&["iris://c/web-1"]));
        assert!(web.send.includes("/public/x") && !web.send.includes("/private/x"));
        assert_eq!(acl.rights(&peer(&["iris://c/db"])).send, Names::Everything);
        for stranger in [peer(&["iris://d/db"]), peer(&["c"]), Identity::NOBODY] {
            assert_eq!(acl.rights(&stranger), Rights::default());
        }
        let all = Acl::new([rule("*", Names::Everything)]);
        assert_eq!(all.rights(&Identity::NOBODY).send, Names::Everything);
    }

    #[test]
    fn a_certificate_of_another_cluster_does_not_belong() {
        let two = peer(&["iris://a/n", "iris://b/n"]);
        assert!(two.belongs_to("a") && two.belongs_to("b") && two.belongs_to(""));
        assert!(!two.belongs_to("c"));
        assert!(peer(&["host.example"]).belongs_to("c"));
        // One that is for no cluster is for any.
        assert!(peer(&["iris:///n"]).belongs_to("c"));
    }

    #[test]
    fn one_certificate_alone_can_be_named() {
        let stolen = Peers::new("sha256:aa");
        assert!(stolen.includes(&peer(&["iris://c/n", "sha256:aa"])));
        assert!(!stolen.includes(&peer(&["iris://c/n", "sha256:bb"])));
        assert!(peer(&["iris://c/n", "sha256:aa"]).is(&peer(&["iris://c/n", "sha256:bb"])));
    }
}
