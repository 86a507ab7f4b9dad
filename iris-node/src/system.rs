//! System messages as JavaScript reads them.

use iris::SystemMessage;
use napi_derive::napi;

use crate::convert;

/// News from the runtime, such as the end of an actor. `lib/system.js` makes a `SystemMessage` of
/// it.
#[napi(object, object_from_js = false)]
pub struct SystemObject {
    /// `EXIT`, `DOWN`, `RESTARTED`, ..
    pub type_name: String,
    /// Who caused or reported it.
    pub from_pid: Option<f64>,
    /// Whom it is about.
    pub target_pid: Option<f64>,
    /// Why, in lower case.
    pub reason: Option<String>,
    /// The failure behind it.
    pub metadata: Option<FailureObject>,
    /// The monitor that brings it.
    pub reference: Option<f64>,
    /// The node that it is about.
    pub node: Option<String>,
    /// Why a node is down, and the like.
    pub detail: Option<String>,
}

/// An exception or a panic, as text.
#[napi(object, object_from_js = false)]
pub struct FailureObject {
    /// The class of the exception.
    #[napi(js_name = "type")]
    pub kind: String,
    /// Its message.
    pub message: String,
    /// Where it happened.
    pub stack: String,
}

pub(crate) fn object(message: &SystemMessage) -> SystemObject {
    let info = message.exit_info();
    let failure = info.and_then(|info| info.metadata.as_deref());
    let (node, detail) = match message {
        SystemMessage::Node { node, detail, .. } => (Some(node), Some(detail)),
        _ => (None, None),
    };
    SystemObject {
        type_name: message.type_name().to_owned(),
        from_pid: message.from_pid().map(convert::number),
        target_pid: message.target_pid().map(convert::number),
        reason: info.map(|info| info.reason.as_str().to_owned()),
        metadata: failure.map(|failure| FailureObject {
            kind: failure.kind.clone(),
            message: failure.message.clone(),
            stack: failure.traceback.clone(),
        }),
        // References are counted up from 1.
        reference: message
            .reference()
            .map(|reference| convert::count(reference.raw())),
        node: node.map(ToString::to_string),
        detail: detail.map(ToString::to_string),
    }
}
