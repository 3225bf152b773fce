//! The client before a socket that answers wrongly: what is not understood says nothing about a container.

use super::Podman;
use crate::{Engine, EngineError};
use futures_util::StreamExt;
use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::PathBuf,
};

/// A socket that answers every request with these bytes and hangs up.
fn answering(answer: &'static [u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut part = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => request.extend_from_slice(&part[..count]),
                }
            }
            // The client may have hung up first.
            let _ = stream.write_all(answer);
        }
    });
    (dir, socket)
}

#[tokio::test]
async fn an_answer_that_is_wrong_or_cut_off_is_neither_an_absence_nor_an_empty_list() {
    let answers: &[&[u8]] = &[
        b"",
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 33\r\n\r\n{\"message\":\"database is locked\"} ",
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[{\"Id\":\"4f\",\"Names\":[\"web\"]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"Id\":\"4f\",\"Name\":\"web\"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[{\"Id\":",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
    ];
    let says_nothing = |error: &EngineError| {
        matches!(
            error,
            EngineError::Unreachable { .. } | EngineError::Protocol { .. } | EngineError::Broken { .. }
        )
    };
    for answer in answers {
        let (_dir, socket) = answering(answer);
        let engine = Podman::connect(socket);
        let text = String::from_utf8_lossy(answer);
        let list = engine.list(&[]).await;
        assert!(list.as_ref().is_err_and(says_nothing), "{text:?}: {list:?}");
        let inspect = engine.inspect("web").await;
        assert!(inspect.as_ref().is_err_and(says_nothing), "{text:?}: {inspect:?}");
        // A stream that begins well and breaks off ends, so that its reader connects anew.
        match engine.events(None).await {
            Err(error) => assert!(says_nothing(&error), "{text:?}: {error:?}"),
            Ok(mut events) => {
                while let Some(event) = events.next().await {
                    assert!(event.as_ref().is_err_and(says_nothing), "{text:?}: {event:?}");
                }
            }
        }
    }
}
