//! D26 of the list of defects that earlier systems had: what short lives leave behind. In here,
//! for the parts of a runtime cannot be counted from outside.

use std::time::Duration;

use iris_core::{ExitReason, Step, handler};

use crate::Runtime;

const LIVES: usize = 10_000;
const PATIENCE: Duration = Duration::from_mins(1);
const LATER: Duration = Duration::from_hours(1);

#[test]
fn nothing_grows_with_short_lives() {
    let rt = Runtime::builder()
        .workers(2)
        .start()
        .expect("there are threads");
    let parent = rt.spawn(handler(|_, _| Step::Done)).start();
    let parent = parent.expect("there is room");
    let mut slots = 0;
    for life in 0..LIVES {
        let (name, path) = (format!("name {life}"), format!("/short/{life}"));
        let builder = rt.spawn(handler(|_, _| Step::Done)).child_of(parent);
        let pid = builder.named(&name).at_path(&path).start();
        let pid = pid.expect("names are free");
        slots = slots.max(pid.slot());
        rt.send_after(pid, LATER, &b"later"[..])
            .expect("it is alive");
        rt.send_interval(pid, LATER, &b"often"[..])
            .expect("it is alive");
        rt.hot_swap(pid, handler(|_, _| Step::Done));
        rt.stop(pid, ExitReason::Killed);
        assert_eq!(rt.join(pid, Some(PATIENCE)), Ok(true));
    }
    assert!(rt.wait_quiet(PATIENCE));
    assert_eq!(rt.table().len(), 1, "the parent");
    assert!(slots < 100, "slots are used again, yet there are {slots}");
    assert_eq!(rt.timers().len(), 0);
    assert_eq!(rt.list_children("/"), Ok(Vec::new()));
    assert!((0..LIVES).all(|life| rt.registry().whereis(&format!("name {life}")).is_none()));
    assert!(rt.family().is_empty());
    assert_eq!(rt.exit_counts().clean, LIVES as u64);
}
