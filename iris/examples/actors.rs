//! Two actors, a name and a swap: `cargo run --example actors`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use iris::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rt = Runtime::new();
    let printer = rt
        .spawn(handler(|_, text| say("A", &text)))
        .named("printer")
        .start()?;
    let relay = rt.spawn(handler(move |cx, text| {
        // A message that cannot be sent comes back in the error.
        cx.send(printer, text)
            .map_or_else(|_| Step::stop(), |()| Step::Done)
    }));
    let relay = relay.start()?;

    rt.send(relay, &b"before the swap"[..])?;
    rt.wait_quiet(Duration::from_secs(1));
    rt.hot_swap(printer, handler(|_, text| say("B", &text)));
    rt.send_named("printer", &b"after the swap"[..])?;
    rt.shutdown(Duration::from_secs(2));
    Ok(())
}

fn say(who: &str, text: &[u8]) -> Step {
    println!("{who}: {}", String::from_utf8_lossy(text));
    Step::Done
}
