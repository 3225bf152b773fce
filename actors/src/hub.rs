//! The hub: the only writer of the board.
//!
//! Parent: node, permanent. Children: none.
//! Invariant: rows are put in the order in which they were sent. A new incarnation asks everybody for their rows, so
//! what was lost with the old one's mailbox is told again; the board itself outlives it.

use crate::{
    app::AppMsg, catalog::CatalogMsg, control::ControlMsg, ctx::Ctx, gate::GateMsg, journal, names::name,
    observer::ObserverMsg,
};
use protocol::{OpView, Row, StreamId};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::BTreeMap;

/// Operations that are shown.
const MAX_OPS: usize = crate::store::KEPT as usize;

/// Messages of the hub.
pub(crate) enum HubMsg {
    /// Cast: put this row.
    Put(Row),
    /// Cast: take the row of this key away.
    Gone(StreamId, String),
    /// Cast: these paths of the tree changed, and these are gone.
    Tree(Vec<String>, Vec<String>),
    /// Cast: this row is gone; why.
    Remove(StreamId, String, &'static str),
    /// Call: the heads after everything that was sent before.
    Heads(RpcReplyPort<BTreeMap<StreamId, u64>>),
}

/// The actor.
pub(crate) struct Hub;

impl Actor for Hub {
    type Msg = HubMsg;
    type State = Ctx;
    type Arguments = Ctx;

    async fn pre_start(&self, myself: ActorRef<HubMsg>, ctx: Ctx) -> Result<Ctx, ActorProcessingErr> {
        ctx.names.register(name::HUB, myself.get_cell());
        for path in ctx.board.keys(StreamId::Tree) {
            if ctx.tree.view(&path).is_none() {
                ctx.board.remove(StreamId::Tree, &path, "ended");
            }
        }
        for row in ctx.tree.all() {
            ctx.board.put(&Row::Tree(Box::new(row)));
        }
        for app in ctx.names.below::<AppMsg>(name::APPS) {
            let _ = app.cast(AppMsg::Publish);
        }
        for gate in ctx.names.below::<GateMsg>(name::GATES) {
            let _ = gate.cast(GateMsg::Publish);
        }
        ctx.names.cast(name::CATALOG, CatalogMsg::Publish);
        ctx.names.cast(name::CONTROL, ControlMsg::Publish);
        ctx.names.cast(name::OBSERVER, ObserverMsg::Publish);
        Ok(ctx)
    }

    async fn handle(
        &self,
        _: ActorRef<HubMsg>,
        message: HubMsg,
        ctx: &mut Ctx,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HubMsg::Put(row) => {
                if !is_stale(ctx, &row) {
                    journal::rows::record(ctx, &row);
                    ctx.board.put(&row);
                }
                // Ids of operations sort by time, and the store keeps as many.
                if ctx.board.len(StreamId::Ops) > MAX_OPS + MAX_OPS / 4 {
                    ctx.board.trim(StreamId::Ops, MAX_OPS);
                }
            }
            HubMsg::Gone(stream, key) => ctx.board.remove(stream, &key, "ended"),
            HubMsg::Tree(changed, gone) => {
                for row in changed.iter().filter_map(|path| ctx.tree.view(path)) {
                    ctx.board.put(&Row::Tree(Box::new(row)));
                }
                for path in gone {
                    ctx.board.remove(StreamId::Tree, &path, "ended");
                }
            }
            HubMsg::Remove(stream, key, why) => ctx.board.remove(stream, &key, why),
            HubMsg::Heads(reply) => {
                // The caller may have given up.
                let _ = reply.send(ctx.board.heads());
            }
        }
        Ok(())
    }
}

/// An operation that has ended stays ended, whoever was late.
fn is_stale(ctx: &Ctx, row: &Row) -> bool {
    let Row::Op(new) = row else { return false };
    let shown = ctx.board.row(StreamId::Ops, row.key());
    let shown: Option<OpView> = shown.and_then(|json| serde_json::from_str(&json).ok());
    shown.is_some_and(|old| old.state.is_terminal() && old.state != new.state)
}
