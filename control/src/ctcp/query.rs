//! Which connections somebody wants to see, page by page: only those are put into words, however many there are.

use super::{ConnectionView, FlowView, StreamView};
use crate::session::SessionId;
use adit_dataplane::contract::{FlowId, FlowReport, StreamReport, TunnelKey};

/// Those that fit all of this, in the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionQuery {
    /// This one alone.
    pub connection: Option<FlowId>,
    /// Those that this session has.
    pub session: Option<SessionId>,
    /// Behind this one; from the beginning without.
    pub after: Option<FlowId>,
    /// So many.
    pub limit: usize,
}

/// A page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedConnections {
    /// In the order of their names.
    pub lines: Vec<ConnectionView>,
    /// Behind which one it goes on; `None` if this was all.
    pub next: Option<FlowId>,
}

/// As a worker tells of it.
#[derive(Clone, Copy)]
enum Report<'a> {
    Flow(&'a FlowReport),
    Stream(&'a StreamReport),
}

impl Report<'_> {
    const fn id(&self) -> FlowId {
        match self {
            Self::Flow(flow) => flow.id,
            Self::Stream(stream) => stream.id,
        }
    }

    const fn tunnel(&self) -> Option<TunnelKey> {
        match self {
            Self::Flow(flow) => flow.tunnel,
            Self::Stream(stream) => stream.tunnel,
        }
    }

    fn view(&self, session: Option<(SessionId, String)>) -> ConnectionView {
        match self {
            Self::Flow(flow) => ConnectionView::Ctcp(Box::new(FlowView::new(flow, session))),
            Self::Stream(stream) => ConnectionView::Tcp(Box::new(StreamView::new(stream, session))),
        }
    }
}

impl ConnectionQuery {
    /// Of all connections these. `owner` says whose session a tunnel is, and who that is.
    pub fn page(
        &self,
        flows: &[FlowReport],
        streams: &[StreamReport],
        owner: impl Fn(TunnelKey) -> Option<(SessionId, String)>,
    ) -> ListedConnections {
        let all = flows.iter().map(Report::Flow).chain(streams.iter().map(Report::Stream));
        let behind = |id: FlowId| self.after.is_none_or(|after| id > after);
        let is_it = |id: FlowId| self.connection.is_none_or(|connection| id == connection);
        let mut named: Vec<_> = all.map(|report| (report.id(), report)).collect();
        named.retain(|(id, _)| behind(*id) && is_it(*id));
        named.sort_unstable_by_key(|(id, _)| *id);
        let owned = named.into_iter().map(|(id, report)| (id, report, report.tunnel().and_then(&owner)));
        let mut meant = owned.filter(|(.., owner)| {
            self.session.is_none_or(|session| owner.as_ref().is_some_and(|(has, _)| *has == session))
        });
        let (mut lines, mut last) = (Vec::new(), None);
        for (id, report, owner) in meant.by_ref().take(self.limit) {
            lines.push(report.view(owner));
            last = Some(id);
        }
        ListedConnections { lines, next: last.filter(|_| meant.next().is_some()) }
    }
}
