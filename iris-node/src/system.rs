//! System messages as JavaScript reads them.

use iris::{ExitInfo, NodeNews, SystemMessage};
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

fn type_name(message: &SystemMessage) -> &'static str {
    match message {
        SystemMessage::Exit(_) => "EXIT",
        SystemMessage::Down { .. } => "DOWN",
        SystemMessage::Restarted { .. } => "RESTARTED",
        SystemMessage::GaveUp { .. } => "GAVE_UP",
        SystemMessage::Node { news, .. } => match news {
            NodeNews::Up => "NODE_UP",
            NodeNews::Down => "NODE_DOWN",
            NodeNews::Stalled => "NODE_STALLED",
            NodeNews::Moving => "NODE_MOVING",
            NodeNews::Heartbeat => "HEARTBEAT",
            NodeNews::NameConflict => "NAME_CONFLICT",
        },
        _ => "OTHER",
    }
}

fn info(message: &SystemMessage) -> Option<&ExitInfo> {
    match message {
        SystemMessage::Exit(info) | SystemMessage::Down { info, .. } => Some(info),
        SystemMessage::GaveUp { last, .. } => last.as_ref(),
        _ => None,
    }
}

pub(crate) fn object(message: &SystemMessage) -> SystemObject {
    let info = info(message);
    let mut object = SystemObject {
        type_name: type_name(message).to_owned(),
        from_pid: info.map(|info| convert::number(info.from)),
        target_pid: info.map(|info| convert::number(info.target)),
        reason: info.map(|info| info.reason.as_str().to_owned()),
        metadata: info
            .and_then(|info| info.metadata.as_deref())
            .map(|failure| FailureObject {
                kind: failure.kind.clone(),
                message: failure.message.clone(),
                stack: failure.traceback.clone(),
            }),
        reference: None,
        node: None,
        detail: None,
    };
    match message {
        SystemMessage::Down { reference, .. } => {
            object.reference = Some(as_number(reference.raw()));
        }
        SystemMessage::Restarted { old, new } => {
            object.from_pid = Some(convert::number(*old));
            object.target_pid = Some(convert::number(*new));
        }
        SystemMessage::Node { node, detail, .. } => {
            object.node = Some(node.to_string());
            object.detail = Some(detail.to_string());
        }
        _ => {}
    }
    object
}

#[expect(clippy::cast_precision_loss, reason = "references are below 2^53")]
fn as_number(reference: u64) -> f64 {
    reference as f64
}
