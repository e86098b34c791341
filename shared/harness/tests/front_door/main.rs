//! The real nginx with the real configuration, in front of small upstreams.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod repeats;
mod requests;
mod routing;
mod streams;
#[path = "../support/mod.rs"]
mod support;

use ah5_harness::nginx::Routing;

use support::{Door, Events, Upstream, door};

/// Two data planes and a control plane behind nginx.
struct Fixture {
    door: Door,
    one: Upstream,
    two: Upstream,
    control: Upstream,
    events: Events,
}

impl Fixture {
    async fn start(routing: Routing) -> Self {
        let (one, events) = Upstream::start("one").await;
        let (two, _) = Upstream::start("two").await;
        let (control, _) = Upstream::start("control").await;
        let data = [one.address, two.address];
        Self {
            door: door(routing, &data, &[control.address]),
            one,
            two,
            control,
            events,
        }
    }

    /// A single data plane, so that its events are the ones.
    async fn start_single() -> Self {
        let mut it = Self::start(Routing::Sticky).await;
        it.door = door(Routing::Sticky, &[it.one.address], &[it.control.address]);
        it
    }

    fn hits(&self) -> usize {
        self.one.hits() + self.two.hits()
    }
}
