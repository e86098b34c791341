//! Notices parts that ended by themselves.

use super::Stack;
use crate::postgres::Cluster;
use crate::process::{Died, Process};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    FrontDoor,
    DataPlane(usize),
    ControlPlane,
    Simulator,
    Postgres,
}

// === impl Stack ===

impl Stack {
    /// Parts that ended by themselves since they were last asked for. A data plane can then be
    /// restarted.
    pub fn fallen(&mut self) -> Vec<(Part, Died)> {
        let mut fallen = Vec::new();
        let mut look = |part: Part, process: &mut Process| {
            if let Some(status) = process.ended() {
                fallen.push((part, Died::new(process, status)));
            }
        };
        if let Some(front) = &mut self.front {
            look(Part::FrontDoor, front.process());
        }
        if let Some(plane) = &mut self.control_plane {
            look(Part::ControlPlane, &mut plane.process);
        }
        if let Some(simulator) = &mut self.simulator {
            look(Part::Simulator, &mut simulator.plane.process);
        }
        if let Some(server) = self.cluster.as_mut().and_then(Cluster::process) {
            look(Part::Postgres, server);
        }
        for (number, replica) in self.data_planes.iter_mut().enumerate() {
            if let Some(plane) = &mut replica.plane {
                look(Part::DataPlane(number), &mut plane.process);
                replica
                    .plane
                    .take_if(|plane| plane.process.ended().is_some());
            }
        }
        fallen
    }
}
