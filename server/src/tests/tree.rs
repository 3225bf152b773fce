//! The server as a part of the tree.

use super::{BOUND, Running, Stub, config, start};
use crate::{BindError, Server};
use protocol::{StreamId, client::StreamEvent};
use supervisor::{ExitReason, Strategy, SupFlags, Supervisor, SupervisorRef};
use tokio::time::timeout;

async fn child(supervisor: &SupervisorRef, id: &str) -> supervisor::ChildInfo {
    supervisor.which_children().await.unwrap().into_iter().find(|child| child.id == *id).unwrap()
}

async fn below(supervisor: &SupervisorRef, id: &str) -> SupervisorRef {
    SupervisorRef::from_cell(&child(supervisor, id).await.cell.unwrap()).unwrap()
}

/// The number of sockets once it is this; each is an actor.
async fn sockets(server: &Running, expected: usize) {
    let sessions = below(&below(&server.root, "server").await, "sessions").await;
    let mut reports = sessions.subscribe(100).await.unwrap();
    timeout(BOUND, async {
        while sessions.count_children().await.unwrap().active != expected {
            reports.recv().await.unwrap();
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named_at_start() {
    let server = start().await;
    let second = Server::new(&config(&Stub::new().await, &server.addr.to_string()));
    let flags = SupFlags::new(Strategy::OneForOne);
    let error =
        Supervisor::start_link("node", flags, vec![second.child_spec()], None, None).await.unwrap_err();
    let error = error.downcast_ref::<BindError>().unwrap();
    assert!(matches!(error, BindError::AddressInUse(addr) if *addr == server.addr));
    assert!(error.to_string().contains("stop what listens there"), "{error}");
    assert_eq!(second.address(), None);
}

#[tokio::test]
async fn each_socket_is_an_actor_that_ends_with_it() {
    let server = start().await;
    let mut rows = server.client().subscribe(&[StreamId::Node]).await.unwrap();
    timeout(BOUND, rows.next()).await.unwrap().unwrap();
    sockets(&server, 1).await;
    drop(rows);
    sockets(&server, 0).await;
}

#[tokio::test]
async fn a_killed_listener_comes_back_on_its_port_and_sockets_stay() {
    let server = start().await;
    let mut rows = server.client().subscribe(&[StreamId::Node]).await.unwrap();
    timeout(BOUND, rows.next()).await.unwrap().unwrap();
    let part = below(&server.root, "server").await;
    let mut reports = part.subscribe(100).await.unwrap();
    child(&part, "listener").await.cell.unwrap().kill();
    timeout(BOUND, async {
        while child(&part, "listener").await.generation < 2
            || child(&part, "listener").await.state != supervisor::ChildState::Running
        {
            reports.recv().await.unwrap();
        }
    })
    .await
    .unwrap();
    assert!(server.client().is_ready().await.unwrap(), "a new connection");
    server.node.put("engine", "1");
    let event = timeout(BOUND, rows.next()).await.unwrap().unwrap();
    assert!(matches!(event, StreamEvent::Put { .. }), "the old socket: {event:?}");
}

#[tokio::test]
async fn a_killed_session_disconnects_its_client_which_resumes() {
    let server = start().await;
    server.node.put("a", "1");
    let mut rows = server.client().subscribe(&[StreamId::Node]).await.unwrap();
    timeout(BOUND, rows.next()).await.unwrap().unwrap();
    let sessions = below(&below(&server.root, "server").await, "sessions").await;
    sockets(&server, 1).await;
    for session in sessions.which_children().await.unwrap() {
        session.cell.unwrap().kill();
    }
    let event = timeout(BOUND, rows.next()).await.unwrap().unwrap();
    assert!(matches!(event, StreamEvent::Disconnected { .. }), "{event:?}");
    server.node.put("b", "1");
    assert_eq!(timeout(BOUND, rows.next()).await.unwrap().unwrap(), StreamEvent::Reconnected);
    let event = timeout(BOUND, rows.next()).await.unwrap().unwrap();
    assert!(matches!(event, StreamEvent::Put { .. }), "only what changed, no snapshot: {event:?}");
}

#[tokio::test]
async fn the_end_of_the_tree_says_goodbye_to_sockets() {
    let server = start().await;
    let mut rows = server.client().subscribe(&[StreamId::Node]).await.unwrap();
    timeout(BOUND, rows.next()).await.unwrap().unwrap();
    sockets(&server, 1).await;
    let (_, event) = tokio::join!(server.root.stop(ExitReason::Shutdown(None)), async {
        timeout(BOUND, rows.next()).await.unwrap().unwrap()
    });
    let StreamEvent::Disconnected { reason } = event else { panic!("{event:?}") };
    assert_eq!(reason, "the node stops (1001)");
}
