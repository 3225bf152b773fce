//! What people are shown of a service.

use super::{Job, Machine, Seen, Want};
use protocol::ContainerPhase;

impl Machine {
    /// What to show.
    pub(crate) fn phase(&self) -> ContainerPhase {
        let net_is_there = matches!(&self.net, Some(Seen::Up(_) | Seen::Zombie { .. } | Seen::Unknown));
        match (self.job, &self.seen) {
            (None, Seen::Up(_) | Seen::Down { .. } | Seen::Zombie { .. })
                if self.want == Want::GiveBack && self.is_adopted() =>
            {
                ContainerPhase::Absent
            }
            (Some(Job::Create(_)), _) => ContainerPhase::Creating,
            (Some(Job::Start(_)), _) => ContainerPhase::Starting,
            (Some(Job::Stop(_) | Job::Remove(_)), _) => ContainerPhase::Stopping,
            (_, Seen::Unknown) if self.gone => ContainerPhase::Exited,
            (_, Seen::Unknown) if self.ran => ContainerPhase::Starting,
            (_, Seen::Unknown) => ContainerPhase::Unknown,
            // Its ports are still taken, its names still resolve.
            (_, Seen::Absent | Seen::Down { .. }) if self.want == Want::Stop && net_is_there => {
                ContainerPhase::Stopping
            }
            (_, Seen::Absent)
                if matches!(self.want, Want::Remove | Want::GiveBack)
                    && !matches!(self.net, None | Some(Seen::Absent)) =>
            {
                ContainerPhase::Stopping
            }
            (_, Seen::Absent) => ContainerPhase::Absent,
            (_, Seen::Zombie { .. }) => ContainerPhase::Exited,
            (_, Seen::Up(_)) if self.gone => ContainerPhase::Exited,
            (_, Seen::Up(_)) => ContainerPhase::Running,
            (_, Seen::Down { .. }) if self.over().is_some() => ContainerPhase::Exited,
            (_, Seen::Down { ran, .. }) => match self.want {
                Want::Run { clear: false } => ContainerPhase::Waiting,
                Want::Run { clear: true } => ContainerPhase::Starting,
                _ if *ran => ContainerPhase::Exited,
                _ => ContainerPhase::Created,
            },
        }
    }

    /// What the engine's last answer complained of.
    pub(crate) fn trouble(&self) -> Option<&str> {
        let cut_off = self.is_cut_off().then_some("its network is gone");
        let epitaph = self.epitaph.as_deref().filter(|_| self.over().is_some());
        self.refused.1.as_deref().or(epitaph).or(cut_off).or(self.trouble.as_deref())
    }
}
